// kernel only: shows the process and its threads.
//
// /proc/<pid> (and /proc/self, /proc/thread-self): formats of Linux's
// Documentation/filesystems/proc.rst. Keys: that of /proc/2/... is the pid; of /proc/2/task/T/...
// the pid and T; of .../fd/N the outer number and N.
#include <algorithm>

#include "core/clock.hh"
#include "core/thread.hh"
#include "fs/fd_table.hh"
#include "fs/mount.hh"
#include "fs/pseudo_fs.hh"
#include "fs/vfs.hh"
#include "linux/limits.hh"
#include "linux/proc.hh"
#include "linux/process.hh"
#include "linux/task.hh"
#include "mm/address_space.hh"
#include "mm/report.hh"

namespace kiln {
namespace {

constexpr u64 tick = ns_per_s / 100;  // of CLK_TCK

// The thread that a key is about: /proc/2/... shows the first one.
i32 thread_of(u64 key) {
    return static_cast<i32>(key_number(key));
}

std::string_view name_of(const task_summary& of) {
    return {of.comm, __builtin_strlen(of.comm)};
}

// Whether the key is one of /proc/2/task/T/....
bool is_of_thread(u64 key) {
    return key_outer_number(key) != 0;
}

result<void> show_comm(text_sink& to, u64 key) {
    const task_summary summary = TRY(summarize_task(thread_of(key)));
    format(to, "{}\n", name_of(summary));
    return {};
}

result<void> set_comm_text(std::string_view text, u64 key) {
    const u64 saved = the_process().signal_lock.lock();
    task* const found = find_task(thread_of(key));
    if (found != nullptr) {
        set_comm(*found, text.substr(0, text.find('\n')));
    }
    the_process().signal_lock.unlock(saved);
    return found != nullptr ? result<void>() : err::srch;
}

// Bytes of the program's own memory, as /proc/self/cmdline and environ show them.
result<void> show_memory(text_sink& to, u64 start, u64 end) {
    while (start < end) {
        char bytes[512];
        const usize piece = std::min<u64>(end - start, sizeof(bytes));
        TRY(the_address_space().read_memory(start,
                                            std::as_writable_bytes(std::span(bytes, piece))));
        to.put({bytes, piece});
        start += piece;
    }
    return {};
}

result<void> show_command_line(text_sink& to, u64) {
    const program_layout& layout = the_address_space().layout;
    return show_memory(to, layout.arguments_start, layout.arguments_end);
}

result<void> show_environment(text_sink& to, u64) {
    const program_layout& layout = the_address_space().layout;
    return show_memory(to, layout.environment_start, layout.environment_end);
}

result<void> show_auxv(text_sink& to, u64) {
    const program_layout& layout = the_address_space().layout;
    return show_memory(to, layout.auxv_address, layout.auxv_address + layout.auxv_size);
}

result<void> show_maps(text_sink& to, u64) {
    return write_maps(to);
}

result<void> show_smaps(text_sink& to, u64) {
    return write_smaps(to);
}

result<void> show_smaps_rollup(text_sink& to, u64) {
    return write_smaps_rollup(to);
}

result<void> show_statm(text_sink& to, u64) {
    write_statm(to);
    return {};
}

void show_cpu_list(text_sink& to, u64 mask) {
    bool first = true;
    for (u32 cpu = 0; cpu < max_cpus; ++cpu) {
        if ((mask >> cpu & 1) == 0) {
            continue;
        }
        u32 last = cpu;
        while (last + 1 < max_cpus && (mask >> (last + 1) & 1) != 0) {
            ++last;
        }
        format(to, first ? "{}" : ",{}", cpu);
        if (last != cpu) {
            format(to, "-{}", last);
        }
        first = false;
        cpu = last;
    }
}

void show_identity(text_sink& to) {
    credentials creds;
    {
        lock_guard guard(the_process().identity_lock);
        creds = the_process().creds;
    }
    format(to, "Uid:\t{}\t{}\t{}\t{}\n", creds.ruid, creds.euid, creds.suid, creds.fsuid);
    format(to, "Gid:\t{}\t{}\t{}\t{}\n", creds.rgid, creds.egid, creds.sgid, creds.fsgid);
    format(to, "FDSize:\t{}\nGroups:\t", descriptors::slot_count());
    for (u32 i = 0; i < creds.group_count; ++i) {
        format(to, "{} ", creds.groups[i]);
    }
    to.put("\n");
}

void show_capabilities(text_sink& to) {
    credentials creds;
    {
        lock_guard guard(the_process().identity_lock);
        creds = the_process().creds;
    }
    format(to, "CapInh:\t{:016x}\nCapPrm:\t{:016x}\nCapEff:\t{:016x}\n", creds.cap_inheritable,
           creds.cap_permitted, creds.cap_effective);
    format(to, "CapBnd:\t{:016x}\nCapAmb:\t{:016x}\n", creds.cap_bounding, creds.cap_ambient);
    format(to, "NoNewPrivs:\t{}\nSeccomp:\t0\nSeccomp_filters:\t0\n",
           the_process().no_new_privileges ? 1 : 0);
}

// Whether the thread runs is known of the asking one only; the others are shown as sleeping.
char state_of(i32 tid) {
    const task* const self = current_task();
    return self != nullptr && self->tid == tid ? 'R' : 'S';
}

result<void> show_status(text_sink& to, u64 key) {
    const i32 tid = thread_of(key);
    const task_summary summary = TRY(summarize_task(tid));
    const signal_summary signals = summarize_signals();
    const char state = state_of(tid);
    format(to, "Name:\t{}\nUmask:\t{:04o}\nState:\t{} ({})\n", name_of(summary), file_mode_mask(),
           state, state == 'R' ? "running" : "sleeping");
    format(to, "Tgid:\t{}\nNgid:\t0\nPid:\t{}\nPPid:\t{}\nTracerPid:\t0\n", process_id, tid,
           parent_id);
    show_identity(to);
    format(to, "NStgid:\t{}\nNSpid:\t{}\nNSpgid:\t{}\nNSsid:\t{}\n", process_id, tid,
           the_process().group_id, the_process().session_id);
    write_memory_status(to);
    format(to, "CoreDumping:\t0\nTHP_enabled:\t1\nThreads:\t{}\nSigQ:\t{}/{}\n",
           the_process().task_count, signals.queued, current_limit(limit::pending_signals));
    format(to,
           "SigPnd:\t{:016x}\nShdPnd:\t{:016x}\nSigBlk:\t{:016x}\nSigIgn:\t{:016x}\nSigCgt:\t{:"
           "016x}\n",
           summary.pending, signals.shared_pending, summary.blocked, signals.ignored,
           signals.caught);
    show_capabilities(to);
    format(to, "Cpus_allowed:\t{:x}\nCpus_allowed_list:\t", summary.affinity);
    show_cpu_list(to, summary.affinity);
    format(to,
           "\nMems_allowed:\t1\nMems_allowed_list:\t0\nvoluntary_ctxt_switches:\t{}\n"
           "nonvoluntary_ctxt_switches:\t{}\n",
           summary.switches.voluntary, summary.switches.involuntary);
    return {};
}

// The 52 fields of stat; those of which nothing is known are 0.
result<void> show_stat(text_sink& to, u64 key) {
    const i32 tid = thread_of(key);
    const task_summary summary = TRY(summarize_task(tid));
    const memory_usage memory = the_address_space().usage();
    const program_layout& layout = the_address_space().layout;
    const cpu_times times =
        tid == process_id && !is_of_thread(key) ? process_cpu_times() : summary.times;
    const u64 resident = memory.resident_anonymous + memory.resident_file;
    const u64 user_ticks = (times.total - std::min(times.kernel, times.total)) / tick;
    const i64 priority =
        summary.realtime_priority != 0 ? -1 - summary.realtime_priority : 20 + summary.sched.nice;
    format(to, "{} ({}) {} {} {} {} 0 -1 4194304 {} 0 {} 0 {} {} 0 0 {} {} {} 0 {} ", tid,
           name_of(summary), state_of(tid), parent_id, the_process().group_id,
           the_process().session_id, memory.minor_faults, memory.major_faults, user_ticks,
           times.kernel / tick, priority, summary.sched.nice, the_process().task_count,
           summary.started_at / tick);
    format(to, "{} {} {} {} {} {} 0 0 ", memory.mapped * page_size, resident,
           current_limit(limit::resident), layout.code_start, layout.code_end, layout.stack_start);
    format(to, "{} {} 0 0 0 0 0 17 {} {} {} 0 0 0 ", summary.pending, summary.blocked, this_cpu(),
           summary.sched.priority, summary.sched.policy);
    format(to, "{} {} {} {} {} {} {} 0\n", layout.data_start, layout.data_end, layout.brk_start,
           layout.arguments_start, layout.arguments_end, layout.environment_start,
           layout.environment_end);
    return {};
}

struct limit_line {
    std::string_view name;
    limit which;
    std::string_view unit;
};
constexpr limit_line limit_lines[] = {
    {"Max cpu time", limit::cpu, "seconds"},
    {"Max file size", limit::file_size, "bytes"},
    {"Max data size", limit::data, "bytes"},
    {"Max stack size", limit::stack, "bytes"},
    {"Max core file size", limit::core, "bytes"},
    {"Max resident set", limit::resident, "bytes"},
    {"Max processes", limit::processes, "processes"},
    {"Max open files", limit::open_files, "files"},
    {"Max locked memory", limit::locked_memory, "bytes"},
    {"Max address space", limit::address_space, "bytes"},
    {"Max file locks", limit::locks, "locks"},
    {"Max pending signals", limit::pending_signals, "signals"},
    {"Max msgqueue size", limit::message_queues, "bytes"},
    {"Max nice priority", limit::nice, ""},
    {"Max realtime priority", limit::realtime_priority, ""},
    {"Max realtime timeout", limit::realtime_time, "us"},
};

void show_limit_value(text_sink& to, u64 value) {
    char text[24];
    const usize length =
        value == unlimited ? format_to(text, "unlimited") : format_to(text, "{}", value);
    format(to, "{:20} ", std::string_view(text, length));
}

result<void> show_limits(text_sink& to, u64) {
    to.put("Limit                     Soft Limit           Hard Limit           Units     \n");
    for (const limit_line& line : limit_lines) {
        const limit_values values = get_limit(line.which);
        format(to, "{:25} ", line.name);
        show_limit_value(to, values.current);
        show_limit_value(to, values.maximum);
        if (line.unit.empty()) {
            to.put("\n");
        } else {
            format(to, "{:10}\n", line.unit);
        }
    }
    return {};
}

// Blanks, backslashes and line ends are written in octal, as programs expect.
void put_escaped(text_sink& to, std::string_view text) {
    for (const char byte : text) {
        if (byte == ' ' || byte == '\t' || byte == '\n' || byte == '\\') {
            format(to, "\\{:03o}", static_cast<u32>(byte));
        } else {
            to.put({&byte, 1});
        }
    }
}

result<void> show_mount_path(text_sink& to, const mount_point& point) {
    vector<char> buffer;
    TRY(buffer.resize(path_max));
    ref<dentry> root = root_directory();
    put_escaped(to, TRY(dcache::path_of(*point.root, root.get(), buffer)));
    return {};
}

std::string_view access_of(const mount_point& point) {
    return point.filesystem->read_only() ? "ro" : "rw";
}

result<void> show_mounts(text_sink& to, u64) {
    for (usize i = 0; i < mount_count(); ++i) {
        const mount_point point = mount_number(i);
        put_escaped(to, point.filesystem->source);
        to.put(" ");
        TRY(show_mount_path(to, point));
        format(to, " {} {},relatime", point.filesystem->type, access_of(point));
        point.filesystem->describe_options(to);
        to.put(" 0 0\n");
    }
    return {};
}

result<void> show_mount_info(text_sink& to, u64) {
    for (usize i = 0; i < mount_count(); ++i) {
        const mount_point point = mount_number(i);
        const u64 device = point.filesystem->device;
        format(to, "{} {} {}:{} / ", point.id, point.parent_id, device_major(device),
               device_minor(device));
        TRY(show_mount_path(to, point));
        format(to, " {},relatime - {} ", access_of(point), point.filesystem->type);
        put_escaped(to, point.filesystem->source);
        format(to, " {}", access_of(point));
        point.filesystem->describe_options(to);
        to.put("\n");
    }
    return {};
}

result<void> show_cgroup(text_sink& to, u64) {
    to.put("0::/\n");
    return {};
}

result<void> show_zero(text_sink& to, u64) {
    to.put("0\n");
    return {};
}

// Accepted and without effect: there is nobody else whom the out-of-memory killer could choose.
result<void> ignore_text(std::string_view, u64) {
    return {};
}

// What reaches a disk is not known for each thread.
result<void> show_io(text_sink& to, u64 key) {
    const transfer_totals all = TRY(transfers_of(is_of_thread(key) ? thread_of(key) : 0));
    format(to, "rchar: {}\nwchar: {}\nsyscr: {}\nsyscw: {}\n", all.bytes_read, all.bytes_written,
           all.reads, all.writes);
    to.put("read_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n");
    return {};
}

// Time on a CPU, time spent waiting for one, and how often it ran; the last two are not counted.
result<void> show_sched_stat(text_sink& to, u64 key) {
    format(to, "{} 0 0\n", TRY(summarize_task(thread_of(key))).times.total);
    return {};
}

result<void> show_wait_channel(text_sink& to, u64) {
    to.put("0");
    return {};
}

// Nobody has logged in.
result<void> show_no_session(text_sink& to, u64) {
    to.put("4294967295");
    return {};
}

result<void> show_personality(text_sink& to, u64) {
    format(to, "{:08x}\n", the_process().personality);
    return {};
}

result<void> show_dump_filter(text_sink& to, u64) {
    to.put("00000033\n");
    return {};
}

result<void> show_id_map(text_sink& to, u64) {
    to.put("         0          0 4294967295\n");
    return {};
}

// --- links and lists ---

result<link_target> follow_program(u64) {
    ref<file> program = the_address_space().executable;
    if (!program || program->get_dentry() == nullptr) {
        return err::noent;
    }
    return link_target{ref<dentry>(program->get_dentry()), {}};
}

result<link_target> follow_working_directory(u64) {
    return link_target{working_directory(), {}};
}

result<link_target> follow_root(u64) {
    return link_target{root_directory(), {}};
}

result<link_target> follow_descriptor(u64 key) {
    ref<file> open = TRY(descriptors::get(static_cast<int>(key_number(key))));
    if (dentry* const entry = open->get_dentry()) {
        return link_target{ref<dentry>(entry), {}};
    }
    return link_target{{}, std::move(open)};
}

// A link can be read when its file can, and written when its file can.
u32 descriptor_link_mode(u64 key) {
    result<ref<file>> open = descriptors::get(static_cast<int>(key_number(key)));
    if (!open.ok() || (open.value()->flags() & open_flag::path) != 0) {
        return 0;
    }
    return (open.value()->readable() ? 0500 : 0) | (open.value()->writable() ? 0300 : 0);
}

result<void> show_descriptor(text_sink& to, u64 key) {
    const int fd = static_cast<int>(key_number(key));
    ref<file> open = TRY(descriptors::get(fd));
    const bool cloexec = TRY(descriptors::close_on_exec(fd));
    dentry* const entry = open->get_dentry();
    format(to, "pos:\t{}\nflags:\t0{:o}\nmnt_id:\t{}\nino:\t{}\n", open->position,
           open->flags() | (cloexec ? open_flag::cloexec : 0),
           entry != nullptr ? entry->mount_id() : 0,
           open->get_inode() != nullptr ? open->get_inode()->number : 1);
    return {};
}

i64 next_descriptor(i64 from, u64) {
    return descriptors::next_open(static_cast<u32>(from));
}

i64 next_process(i64 from, u64) {
    return from <= process_id ? process_id : -1;
}

i64 next_thread(i64 from, u64) {
    result<vector<i32>> all = task_ids();
    i64 best = -1;
    if (all.ok()) {
        for (const i32 tid : all.value()) {
            best = tid >= from && (best < 0 || tid < best) ? tid : best;
        }
    }
    return best;
}

result<string> self_text(u64) {
    char text[16];
    return string::copy({text, format_to(text, "{}", process_id)});
}

result<string> thread_self_text(u64) {
    const task* const self = current_task();
    char text[48];
    return string::copy({text, format_to(text, "{}/task/{}", process_id,
                                         self != nullptr ? self->tid : process_id)});
}

result<string> mounts_text(u64) {
    return string::copy("self/mounts");
}

constexpr numbered_children processes{next_process}, threads{next_thread},
    open_files{next_descriptor};

constexpr pseudo_node nodes[] = {
    {.path = "", .children = &processes},
    {.path = "self", .link = self_text},
    {.path = "thread-self", .link = thread_self_text},
    {.path = "mounts", .link = mounts_text},
    {.path = "*/status", .read = show_status},
    {.path = "*/stat", .read = show_stat},
    {.path = "*/statm", .read = show_statm},
    {.path = "*/comm", .read = show_comm, .write = set_comm_text},
    {.path = "*/cmdline", .read = show_command_line},
    {.path = "*/environ", .read = show_environment, .mode = 0400},
    {.path = "*/auxv", .read = show_auxv, .mode = 0400},
    {.path = "*/maps", .read = show_maps},
    {.path = "*/smaps", .read = show_smaps},
    {.path = "*/smaps_rollup", .read = show_smaps_rollup},
    {.path = "*/limits", .read = show_limits},
    {.path = "*/mounts", .read = show_mounts},
    {.path = "*/mountinfo", .read = show_mount_info},
    {.path = "*/cgroup", .read = show_cgroup},
    {.path = "*/io", .read = show_io, .mode = 0400},
    {.path = "*/schedstat", .read = show_sched_stat},
    {.path = "*/wchan", .read = show_wait_channel},
    {.path = "*/personality", .read = show_personality, .mode = 0400},
    {.path = "*/loginuid", .read = show_no_session, .write = ignore_text},
    {.path = "*/sessionid", .read = show_no_session},
    {.path = "*/coredump_filter", .read = show_dump_filter, .write = ignore_text},
    {.path = "*/oom_score", .read = show_zero},
    {.path = "*/oom_score_adj", .read = show_zero, .write = ignore_text},
    {.path = "*/oom_adj", .read = show_zero, .write = ignore_text},
    {.path = "*/uid_map", .read = show_id_map},
    {.path = "*/gid_map", .read = show_id_map},
    {.path = "*/exe", .follow = follow_program},
    {.path = "*/cwd", .follow = follow_working_directory},
    {.path = "*/root", .follow = follow_root},
    {.path = "*/fd", .children = &open_files, .mode = 0500},
    {.path = "*/fd/*", .follow = follow_descriptor, .link_mode = descriptor_link_mode},
    {.path = "*/fdinfo", .children = &open_files},
    {.path = "*/fdinfo/*", .read = show_descriptor, .mode = 0400},
    {.path = "*/task", .children = &threads},
    {.path = "*/task/*/status", .read = show_status},
    {.path = "*/task/*/stat", .read = show_stat},
    {.path = "*/task/*/statm", .read = show_statm},
    {.path = "*/task/*/comm", .read = show_comm, .write = set_comm_text},
    {.path = "*/task/*/cmdline", .read = show_command_line},
    {.path = "*/task/*/environ", .read = show_environment, .mode = 0400},
    {.path = "*/task/*/auxv", .read = show_auxv, .mode = 0400},
    {.path = "*/task/*/maps", .read = show_maps},
    {.path = "*/task/*/smaps", .read = show_smaps},
    {.path = "*/task/*/limits", .read = show_limits},
    {.path = "*/task/*/io", .read = show_io, .mode = 0400},
    {.path = "*/task/*/schedstat", .read = show_sched_stat},
    {.path = "*/task/*/oom_score", .read = show_zero},
    {.path = "*/task/*/oom_score_adj", .read = show_zero, .write = ignore_text},
    {.path = "*/task/*/mounts", .read = show_mounts},
    {.path = "*/task/*/mountinfo", .read = show_mount_info},
    {.path = "*/task/*/cgroup", .read = show_cgroup},
    {.path = "*/task/*/exe", .follow = follow_program},
    {.path = "*/task/*/fd", .children = &open_files, .mode = 0500},
    {.path = "*/task/*/fd/*", .follow = follow_descriptor, .link_mode = descriptor_link_mode},
};

}  // namespace

result<void> add_process_views() {
    return the_proc().add(nodes);
}

}  // namespace kiln
