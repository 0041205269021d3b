// kernel only: shows the machine's memory.
//
// /proc/meminfo and /proc/vmstat, in the order and with the names of Linux's
// Documentation/filesystems/proc.rst, since some readers go by position.
#include "core/page.hh"
#include "fs/block_device.hh"
#include "fs/pseudo_fs.hh"
#include "fs/tmpfs.hh"
#include "linux/proc.hh"
#include "linux/process.hh"
#include "mm/address_space.hh"
#include "mm/page_cache.hh"

namespace kiln {
namespace {

// Of a thread's kernel stack.
constexpr u64 stack_pages = 4;

struct memory_line {
    std::string_view name;
    u64 pages;
};

void show_line(text_sink& to, const memory_line& line) {
    char label[32];
    const usize length = format_to(label, "{}:", line.name);
    format(to, "{:16}{:8} kB\n", std::string_view(label, length),
           line.pages * (page_size / KiB));
}

u64 pages_read_from_disks() {
    u64 bytes = 0;
    for (block_device* disk = first_block_device(); disk != nullptr;
         disk = next_block_device(*disk)) {
        bytes += disk->read_bytes.load();
    }
    return bytes / page_size;
}

}  // namespace

// There is no swap and nothing is written back; file pages count as inactive, since they may go. Large
// pages are not told apart here, as that takes a walk through the page tables (smaps has them).
result<void> show_memory_figures(text_sink& to, u64) {
    const memory_figures memory = memory_now();
    const memory_usage program = the_address_space().usage();
    const u64 shared = shared_memory_pages();
    const u64 cached = page_cache_pages();
    // What nobody else is counted for is the kernel's, and it gives nothing of it back.
    const u64 counted = memory.free_pages + cached + shared + program.resident_anonymous;
    const u64 own = memory.total_pages > counted ? memory.total_pages - counted : 0;
    const u64 stacks = the_process().task_count * stack_pages;
    const memory_line lines[] = {{"MemTotal", memory.total_pages},
                                 {"MemFree", memory.free_pages},
                                 {"MemAvailable", memory.free_pages + cached},
                                 {"Buffers", 0},
                                 {"Cached", cached + shared},
                                 {"SwapCached", 0},
                                 {"Active", program.resident_anonymous},
                                 {"Inactive", cached + shared},
                                 {"Active(anon)", program.resident_anonymous},
                                 {"Inactive(anon)", shared},
                                 {"Active(file)", 0},
                                 {"Inactive(file)", cached},
                                 {"Unevictable", program.locked},
                                 {"Mlocked", program.locked},
                                 {"SwapTotal", 0},
                                 {"SwapFree", 0},
                                 {"Dirty", 0},
                                 {"Writeback", 0},
                                 {"AnonPages", program.resident_anonymous},
                                 {"Mapped", program.resident_file},
                                 {"Shmem", shared},
                                 {"KReclaimable", 0},
                                 {"Slab", own},
                                 {"SReclaimable", 0},
                                 {"SUnreclaim", own},
                                 {"KernelStack", stacks},
                                 {"PageTables", program.page_table_bytes / page_size},
                                 {"NFS_Unstable", 0},
                                 {"Bounce", 0},
                                 {"WritebackTmp", 0},
                                 {"CommitLimit", memory.total_pages},
                                 {"Committed_AS", program.private_writable},
                                 {"VmallocTotal", 0},
                                 {"VmallocUsed", 0},
                                 {"VmallocChunk", 0},
                                 {"Percpu", 0},
                                 {"AnonHugePages", 0},
                                 {"ShmemHugePages", 0},
                                 {"ShmemPmdMapped", 0}};
    for (const memory_line& line : lines) {
        show_line(to, line);
    }
    to.put(
        "HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\n"
        "HugePages_Surp:        0\nHugepagesize:       2048 kB\nHugetlb:               0 kB\n");
    return {};
}

result<void> show_memory_events(text_sink& to, u64) {
    const memory_usage program = the_address_space().usage();
    const u64 shared = shared_memory_pages();
    format(to, "nr_free_pages {}\nnr_anon_pages {}\nnr_mapped {}\nnr_file_pages {}\n",
           memory_now().free_pages, program.resident_anonymous, program.resident_file,
           page_cache_pages() + shared);
    format(to, "nr_dirty 0\nnr_writeback 0\nnr_shmem {}\n", shared);
    // In KiB, as they have always been.
    format(to, "pgpgin {}\npgpgout 0\npswpin 0\npswpout 0\n",
           pages_read_from_disks() * (page_size / KiB));
    format(to, "pgfault {}\npgmajfault {}\noom_kill 0\n",
           program.minor_faults + program.major_faults, program.major_faults);
    return {};
}

}  // namespace kiln
