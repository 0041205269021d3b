#include "mm/report.hh"

#include "fs/stat.hh"
#include "lib/vector.hh"
#include "mm/address_space.hh"

namespace kiln {
namespace {

constexpr u64 page_kib = page_size / KiB;

// What a line needs, taken while the address space stands still and printed later: naming a file takes
// locks of its file system.
struct area_row {
    u64 start, end, offset;
    u32 protection, max_protection, flags;
    const char* name;
    ref<file> backing;
    bool has_object;
    address_space::residence pages;
};

area_row make_row(const vma& area, bool with_pages) {
    area_row row{area.start,          area.end,   area.object ? area.offset : 0,
                 area.protection,     area.max_protection,
                 area.flags,          area.name,  area.backing,
                 bool(area.object),   {}};
    if (with_pages) {
        row.pages = the_address_space().residence_of(area);
    }
    return row;
}

result<vector<area_row>> take_rows(bool with_pages) {
    vector<area_row> rows;
    result<void> outcome;
    the_address_space().for_each_area([&](const vma& area) {
        if (outcome.ok()) {
            outcome = rows.push_back(make_row(area, with_pages));
        }
    });
    TRY(std::move(outcome));
    return rows;
}

// The text after the numbers: a path, a name in brackets, or nothing.
std::string_view name_of(const area_row& row, std::span<char> buffer) {
    if (row.backing) {
        return {buffer.data(), row.backing->describe(buffer).value_or(0)};
    }
    if (row.name != nullptr) {
        return row.name;
    }
    const program_layout& layout = the_address_space().layout;
    if (row.start <= layout.brk && row.end >= layout.brk_start && layout.brk_start != 0) {
        return "[heap]";
    }
    if (row.start <= layout.stack_start && row.end >= layout.stack_start) {
        return "[stack]";
    }
    return {};
}

void write_name(text_sink& to, usize column, std::string_view name) {
    constexpr usize name_column = 73;
    constexpr std::string_view blanks =
        "                                                                          ";
    to.put(blanks.substr(0, column < name_column ? name_column - column : 1));
    for (char letter : name) {
        letter == '\n' ? to.put("\\012") : to.put({&letter, 1});
    }
}

void write_line(text_sink& to, const area_row& row) {
    file_status status;
    if (row.backing) {
        static_cast<void>(row.backing->status(status));
    } else if (row.has_object) {
        status.device = make_device(0, 1);
        status.inode_number = 1024;
    }
    char text[128];
    const usize length = format_to(
        text, "{:08x}-{:08x} {}{}{}{} {:08x} {:02x}:{:02x} {} ", row.start, row.end,
        (row.protection & prot::read) != 0 ? 'r' : '-', (row.protection & prot::write) != 0 ? 'w' : '-',
        (row.protection & prot::exec) != 0 ? 'x' : '-', (row.flags & vma_flag::shared) != 0 ? 's' : 'p',
        row.offset, device_major(status.device), device_minor(status.device), status.inode_number);
    to.put({text, length});
    char path[512];
    const std::string_view name = name_of(row, path);
    if (!name.empty()) {
        write_name(to, length, name);
    }
    to.put("\n");
}

struct smaps_figures {
    u64 size = 0, resident = 0, clean = 0, dirty = 0, anonymous = 0, huge = 0, locked = 0;

    void add(const area_row& row) {
        size += (row.end - row.start) / KiB;
        resident += (row.pages.anonymous + row.pages.file) * page_kib;
        clean += (row.pages.file - row.pages.file_writable) * page_kib;
        dirty += (row.pages.anonymous + row.pages.file_writable) * page_kib;
        anonymous += row.pages.anonymous * page_kib;
        huge += row.pages.huge * page_kib;
        locked += (row.flags & vma_flag::locked) != 0
                      ? (row.pages.anonymous + row.pages.file) * page_kib : 0;
    }
};

struct figure_line {
    const char* name;
    u64 value;
};

void write_figure_lines(text_sink& to, std::span<const figure_line> lines) {
    for (const figure_line& line : lines) {
        format(to, "{:16}{:8} kB\n", line.name, line.value);
    }
}

// All of it is mapped by one process, so it counts as private. `by_kind`: the sum of all areas tells
// its kinds apart.
void write_figures(text_sink& to, const smaps_figures& of, bool by_kind) {
    const figure_line totals[] = {
        {"Rss:", of.resident}, {"Pss:", of.resident}, {"Pss_Dirty:", of.dirty}};
    write_figure_lines(to, totals);
    const figure_line kinds[] = {{"Pss_Anon:", of.anonymous},
                                 {"Pss_File:", of.resident - of.anonymous},
                                 {"Pss_Shmem:", 0}};
    if (by_kind) {
        write_figure_lines(to, kinds);
    }
    const figure_line lines[] = {{"Shared_Clean:", 0},
                                 {"Shared_Dirty:", 0},
                                 {"Private_Clean:", of.clean},
                                 {"Private_Dirty:", of.dirty},
                                 {"Referenced:", of.resident},
                                 {"Anonymous:", of.anonymous},
                                 {"LazyFree:", 0},
                                 {"AnonHugePages:", of.huge},
                                 {"ShmemPmdMapped:", 0},
                                 {"FilePmdMapped:", 0},
                                 {"Shared_Hugetlb:", 0},
                                 {"Private_Hugetlb:", 0},
                                 {"Swap:", 0},
                                 {"SwapPss:", 0},
                                 {"Locked:", of.locked}};
    write_figure_lines(to, lines);
}

void write_flags(text_sink& to, const area_row& row) {
    const struct {
        bool set;
        const char* name;
    } flags[] = {{(row.protection & prot::read) != 0, "rd "},
                 {(row.protection & prot::write) != 0, "wr "},
                 {(row.protection & prot::exec) != 0, "ex "},
                 {(row.flags & vma_flag::shared) != 0, "sh "},
                 {(row.max_protection & prot::read) != 0, "mr "},
                 {(row.max_protection & prot::write) != 0, "mw "},
                 {(row.max_protection & prot::exec) != 0, "me "},
                 {(row.flags & vma_flag::shared) != 0, "ms "},
                 {(row.flags & vma_flag::grows_down) != 0, "gd "},
                 {(row.flags & vma_flag::locked) != 0, "lo "},
                 {(row.flags & vma_flag::sequential) != 0, "sr "},
                 {(row.flags & vma_flag::random) != 0, "rr "},
                 {(row.flags & vma_flag::dont_fork) != 0, "dc "},
                 {(row.flags & vma_flag::fixed_pages) != 0, "de "},
                 {(row.flags & vma_flag::no_reserve) != 0, "nr "},
                 {(row.flags & vma_flag::shared) == 0 && (row.protection & prot::write) != 0, "ac "},
                 {(row.flags & vma_flag::wipe_on_fork) != 0, "wf "},
                 {(row.flags & vma_flag::dont_dump) != 0, "dd "},
                 {true, "sd "},
                 {(row.flags & vma_flag::huge) != 0, "hg "},
                 {(row.flags & vma_flag::no_huge) != 0, "nh "}};
    to.put("VmFlags: ");
    for (const auto& flag : flags) {
        to.put(flag.set ? flag.name : "");
    }
    to.put("\n");
}

}  // namespace

result<void> write_maps(text_sink& to) {
    for (const area_row& row : TRY(take_rows(false))) {
        write_line(to, row);
    }
    return {};
}

result<void> write_smaps(text_sink& to) {
    for (const area_row& row : TRY(take_rows(true))) {
        write_line(to, row);
        smaps_figures figures;
        figures.add(row);
        format(to, "{:16}{:8} kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\n", "Size:",
               figures.size);
        write_figures(to, figures, false);
        const bool large = !row.has_object && row.end - row.start >= large_page_size &&
                           (row.flags & vma_flag::no_huge) == 0;
        format(to, "THPeligible:    {:8}\n", large ? 1u : 0u);
        write_flags(to, row);
    }
    return {};
}

result<void> write_smaps_rollup(text_sink& to) {
    smaps_figures sum;
    u64 start = 0;
    u64 end = 0;
    for (const area_row& row : TRY(take_rows(true))) {
        start = start == 0 ? row.start : start;
        end = row.end;
        sum.add(row);
    }
    char text[128];
    const usize length =
        format_to(text, "{:08x}-{:08x} ---p 00000000 00:00 0 ", start, end);
    to.put({text, length});
    write_name(to, length, "[rollup]");
    to.put("\n");
    write_figures(to, sum, true);
    return {};
}

void write_statm(text_sink& to) {
    const memory_usage usage = the_address_space().usage();
    const program_layout& layout = the_address_space().layout;
    const u64 code = (align_up(layout.code_end, page_size) - align_down(layout.code_start, page_size)) >>
                     page_shift;
    format(to, "{} {} {} {} 0 {} 0\n", usage.mapped, usage.resident_anonymous + usage.resident_file,
           usage.resident_file, code, usage.private_writable + usage.stack);
}

void write_memory_status(text_sink& to) {
    const memory_usage usage = the_address_space().usage();
    const program_layout& layout = the_address_space().layout;
    const u64 resident = usage.resident_anonymous + usage.resident_file;
    const u64 code = (align_up(layout.code_end, page_size) - align_down(layout.code_start, page_size)) /
                     KiB;
    const struct {
        const char* name;
        u64 value;
    } lines[] = {{"VmPeak:", usage.peak_mapped * page_kib},
                 {"VmSize:", usage.mapped * page_kib},
                 {"VmLck:", usage.locked * page_kib},
                 {"VmPin:", 0},
                 {"VmHWM:", usage.peak_resident * page_kib},
                 {"VmRSS:", resident * page_kib},
                 {"RssAnon:", usage.resident_anonymous * page_kib},
                 {"RssFile:", usage.resident_file * page_kib},
                 {"RssShmem:", 0},
                 {"VmData:", usage.private_writable * page_kib},
                 {"VmStk:", usage.stack * page_kib},
                 {"VmExe:", code},
                 {"VmLib:", usage.executable * page_kib - std::min(code, usage.executable * page_kib)},
                 {"VmPTE:", usage.page_table_bytes / KiB},
                 {"VmSwap:", 0},
                 {"HugetlbPages:", 0}};
    for (const auto& line : lines) {
        format(to, "{}\t{:8} kB\n", line.name, line.value);
    }
}

bool describe_area(u64 address, text_sink& to) {
    bool found = false;
    area_row row{};
    the_address_space().for_each_area([&](const vma& area) {
        if (address >= area.start && address < area.end) {
            row = make_row(area, false);
            found = true;
        }
    });
    if (found) {
        write_line(to, row);
    }
    return found;
}

}  // namespace kiln
