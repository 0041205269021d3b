// kernel only: shows the machine.
//
// /proc outside the process, but for memory (proc_memory.cc): CPUs, time, versions and the settings
// under /proc/sys that programs read. Formats of Linux's Documentation/filesystems/proc.rst.
#include "arch/x86_64/msr.hh"
#include "core/clock.hh"
#include "core/entropy.hh"
#include "core/thread.hh"
#include "fs/block_device.hh"
#include "fs/fd_table.hh"
#include "fs/pseudo_fs.hh"
#include "linux/proc.hh"
#include "linux/process.hh"

namespace kiln {
namespace {

constexpr u64 tick = ns_per_s / 100;

// --- CPUs ---

// The vendor and brand strings of CPUID leaves 0 and 0x80000002 to 4.
struct cpu_name {
    char vendor[13] = {};
    char brand[49] = {};
    u32 signature = 0;
    u32 features_d = 0;
    u32 features_c = 0;
};

cpu_name name_of_cpu() {
    cpu_name made;
    const cpuid_result first = cpuid(0);
    __builtin_memcpy(made.vendor, &first.ebx, 4);
    __builtin_memcpy(made.vendor + 4, &first.edx, 4);
    __builtin_memcpy(made.vendor + 8, &first.ecx, 4);
    const cpuid_result signature = cpuid(1);
    made.signature = signature.eax;
    made.features_d = signature.edx;
    made.features_c = signature.ecx;
    if (cpuid(0x80000000).eax >= 0x80000004) {
        for (u32 i = 0; i < 3; ++i) {
            const cpuid_result part = cpuid(0x80000002 + i);
            __builtin_memcpy(made.brand + 16 * i, &part, 16);
        }
    }
    return made;
}

// Names by bit of CPUID leaf 1 (Intel SDM vol. 2A, CPUID); empty ones are not shown.
constexpr std::string_view names_d[32] = {
    "fpu",  "vme",  "de",   "pse", "tsc",  "msr", "pae",   "mce", "cx8",     "apic", "",
    "sep",  "mtrr", "pge",  "mca", "cmov", "pat", "pse36", "pn",  "clflush", "",     "dts",
    "acpi", "mmx",  "fxsr", "sse", "sse2", "ss",  "ht",    "tm",  "ia64",    "pbe"};
constexpr std::string_view names_c[32] = {
    "pni",    "pclmulqdq", "dtes64", "monitor", "ds_cpl",
    "vmx",    "smx",       "est",    "tm2",     "ssse3",
    "cid",    "sdbg",      "fma",    "cx16",    "xtpr",
    "pdcm",   "",          "pcid",   "dca",     "sse4_1",
    "sse4_2", "x2apic",    "movbe",  "popcnt",  "tsc_deadline_timer",
    "aes",    "xsave",     "",       "avx",     "f16c",
    "rdrand", "hypervisor"};

void show_features(text_sink& to, u32 bits, const std::string_view (&names)[32]) {
    for (u32 bit = 0; bit < 32; ++bit) {
        if ((bits >> bit & 1) != 0 && !names[bit].empty()) {
            format(to, "{} ", names[bit]);
        }
    }
}

result<void> show_cpus(text_sink& to, u64) {
    const cpu_name name = name_of_cpu();
    const u32 family = (name.signature >> 8 & 15) + (name.signature >> 20 & 255);
    const u32 model = (name.signature >> 4 & 15) | (name.signature >> 12 & 0xf0);
    const char* brand = name.brand;
    while (*brand == ' ') {
        ++brand;
    }
    for (u32 cpu = 0; cpu < cpu_count(); ++cpu) {
        format(
            to,
            "processor\t: {}\nvendor_id\t: {}\ncpu family\t: {}\nmodel\t\t: {}\nmodel name\t: {}\n"
            "stepping\t: {}\n",
            cpu, name.vendor, family, model, brand, name.signature & 15);
        format(to, "physical id\t: 0\nsiblings\t: {}\ncore id\t\t: {}\ncpu cores\t: {}\n",
               cpu_count(), cpu, cpu_count());
        to.put("fpu\t\t: yes\nflags\t\t: ");
        show_features(to, name.features_d, names_d);
        to.put("syscall nx lm constant_tsc ");
        show_features(to, name.features_c, names_c);
        to.put(
            "\nclflush size\t: 64\ncache_alignment\t: 64\naddress sizes\t: 40 bits physical, 48 "
            "bits virtual\n\n");
    }
    return {};
}

result<void> show_stat(text_sink& to, u64) {
    const cpu_times used = process_cpu_times();
    const u64 user = (used.total - used.kernel) / tick;
    const u64 system = used.kernel / tick;
    const u64 all = now() / tick * cpu_count();
    const u64 idle = all > user + system ? all - user - system : 0;
    format(to, "cpu  {} 0 {} {} 0 0 0 0 0 0\n", user, system, idle);
    for (u32 cpu = 0; cpu < cpu_count(); ++cpu) {
        format(to, "cpu{} {} 0 {} {} 0 0 0 0 0 0\n", cpu, user / cpu_count(), system / cpu_count(),
               idle / cpu_count());
    }
    format(to,
           "intr 0\nctxt 0\nbtime {}\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n"
           "softirq 0 0 0 0 0 0 0 0 0 0 0\n",
           (realtime_now() - now()) / ns_per_s);
    return {};
}

result<void> show_uptime(text_sink& to, u64) {
    const u64 up = now() / (ns_per_s / 100);
    const u64 busy = process_cpu_times().total / (ns_per_s / 100);
    const u64 all = up * cpu_count();
    const u64 idle = all > busy ? all - busy : 0;
    format(to, "{}.{:02} {}.{:02}\n", up / 100, up % 100, idle / 100, idle % 100);
    return {};
}

result<void> show_load(text_sink& to, u64) {
    format(to, "0.00 0.00 0.00 1/{} {}\n", the_process().task_count, the_process().last_tid);
    return {};
}

result<void> show_version(text_sink& to, u64) {
    to.put("Linux version 6.1.0-kiln (kiln) #1 SMP PREEMPT_DYNAMIC Kiln\n");
    return {};
}

result<void> show_filesystems(text_sink& to, u64) {
    to.put("nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\tdevtmpfs\n\terofs\n");
    return {};
}

// Reads and writes are counted where file systems and files make them; times and queues are not
// measured.
result<void> show_disks(text_sink& to, u64) {
    for (block_device* disk = first_block_device(); disk != nullptr;
         disk = next_block_device(*disk)) {
        format(to, "{:4} {:7} {} {} 0 {} 0 {} 0 {} 0 0 0 0\n", device_major(disk->device_number),
               device_minor(disk->device_number), disk->name(), disk->read_requests.load(),
               disk->read_bytes.load() / 512, disk->write_requests.load(),
               disk->write_bytes.load() / 512);
    }
    return {};
}

result<void> show_partitions(text_sink& to, u64) {
    to.put("major minor  #blocks  name\n\n");
    for (block_device* disk = first_block_device(); disk != nullptr;
         disk = next_block_device(*disk)) {
        format(to, "{:4}  {:7} {:10} {}\n", device_major(disk->device_number),
               device_minor(disk->device_number), disk->size_in_bytes() / KiB, disk->name());
    }
    return {};
}

// --- /proc/sys ---

// A setting that programs read; writing it is accepted where Linux accepts it and changes nothing.
template <const char* Text>
result<void> show_text(text_sink& to, u64) {
    to.put(Text);
    return {};
}

result<void> ignore(std::string_view, u64) {
    return {};
}

constexpr char zero[] = "0\n", one[] = "1\n", two[] = "2\n", four[] = "4\n", hundred[] = "100\n",
               sixty[] = "60\n", pid_max[] = "4194304\n", threads_max[] = "15000\n",
               ostype[] = "Linux\n", release[] = "6.1.0-kiln\n",
               version[] = "#1 SMP PREEMPT_DYNAMIC Kiln\n", map_count[] = "65530\n",
               file_max[] = "9223372036854775807\n", nr_open[] = "1048576\n",
               somaxconn[] = "4096\n", backlog[] = "1000\n", pipe_max[] = "1048576\n",
               cap_last[] = "40\n", ports[] = "32768\t60999\n",
               receive_memory[] = "4096\t131072\t6291456\n",
               send_memory[] = "4096\t16384\t4194304\n", memory_max[] = "212992\n",
               bits28[] = "28\n", bits8[] = "8\n", min_address[] = "65536\n",
               overflow_id[] = "65534\n", keepalive_time[] = "7200\n",
               keepalive_interval[] = "75\n", keepalive_probes[] = "9\n", instances[] = "128\n",
               watches[] = "65536\n", queued[] = "16384\n", congestion[] = "cubic\n",
               madvise_text[] = "always [madvise] never\n", core_pattern[] = "core\n",
               shmmax[] = "18446744073692774399\n", shmall[] = "18446744073692774399\n",
               shmmni[] = "4096\n", sem[] = "32000\t1024000000\t500\t32000\n",
               printk[] = "4\t4\t1\t7\n", syn_backlog[] = "512\n", available[] = "cubic\n";

result<void> show_host_name(text_sink& to, u64) {
    format(to, "{}\n", hostname());
    return {};
}

result<void> write_host_name(std::string_view text, u64) {
    set_hostname(text.substr(0, text.find('\n')));
    return {};
}

void put_uuid(text_sink& to, u64 high, u64 low) {
    // Version 4, variant 1 (RFC 9562, 5.4).
    high = (high & ~u64{0xf000}) | 0x4000;
    low = (low & ~(u64{3} << 62)) | u64{1} << 63;
    format(to, "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}\n", high >> 32, high >> 16 & 0xffff,
           high & 0xffff, low >> 48, low & 0xffff'ffff'ffff);
}

result<void> show_uuid(text_sink& to, u64) {
    put_uuid(to, random_u64(), random_u64());
    return {};
}

result<void> show_boot_id(text_sink& to, u64) {
    static constinit std::atomic<u64> halves[2] = {0, 0};
    for (std::atomic<u64>& half : halves) {
        u64 none = 0;
        half.compare_exchange_strong(none, random_u64() | 1);
    }
    put_uuid(to, halves[0], halves[1]);
    return {};
}

result<void> show_file_count(text_sink& to, u64) {
    format(to, "{}\t0\t9223372036854775807\n", descriptors::open_count());
    return {};
}

constexpr pseudo_node nodes[] = {
    {.path = "meminfo", .read = show_memory_figures},
    {.path = "vmstat", .read = show_memory_events},
    {.path = "cpuinfo", .read = show_cpus},
    {.path = "stat", .read = show_stat},
    {.path = "uptime", .read = show_uptime},
    {.path = "loadavg", .read = show_load},
    {.path = "version", .read = show_version},
    {.path = "diskstats", .read = show_disks},
    {.path = "partitions", .read = show_partitions},
    {.path = "filesystems", .read = show_filesystems},
    {.path = "sys/kernel/ostype", .read = show_text<ostype>},
    {.path = "sys/kernel/osrelease", .read = show_text<release>},
    {.path = "sys/kernel/version", .read = show_text<version>},
    {.path = "sys/kernel/hostname", .read = show_host_name, .write = write_host_name},
    {.path = "sys/kernel/pid_max", .read = show_text<pid_max>},
    {.path = "sys/kernel/threads-max", .read = show_text<threads_max>},
    {.path = "sys/kernel/cap_last_cap", .read = show_text<cap_last>},
    {.path = "sys/kernel/randomize_va_space", .read = show_text<two>},
    {.path = "sys/kernel/core_pattern", .read = show_text<core_pattern>, .write = ignore},
    {.path = "sys/kernel/ngroups_max", .read = show_text<pid_max>},
    {.path = "sys/kernel/overflowuid", .read = show_text<overflow_id>},
    {.path = "sys/kernel/overflowgid", .read = show_text<overflow_id>},
    {.path = "sys/kernel/perf_event_paranoid", .read = show_text<four>},
    {.path = "sys/kernel/printk", .read = show_text<printk>, .write = ignore},
    {.path = "sys/kernel/shmmax", .read = show_text<shmmax>},
    {.path = "sys/kernel/shmall", .read = show_text<shmall>},
    {.path = "sys/kernel/shmmni", .read = show_text<shmmni>},
    {.path = "sys/kernel/sem", .read = show_text<sem>},
    {.path = "sys/kernel/random/uuid", .read = show_uuid},
    {.path = "sys/kernel/random/boot_id", .read = show_boot_id},
    {.path = "sys/kernel/random/entropy_avail", .read = show_text<hundred>},
    {.path = "sys/vm/overcommit_memory", .read = show_text<zero>, .write = ignore},
    {.path = "sys/vm/overcommit_ratio", .read = show_text<hundred>, .write = ignore},
    {.path = "sys/vm/max_map_count", .read = show_text<map_count>, .write = ignore},
    {.path = "sys/vm/mmap_min_addr", .read = show_text<min_address>},
    {.path = "sys/vm/swappiness", .read = show_text<sixty>, .write = ignore},
    {.path = "sys/vm/nr_hugepages", .read = show_text<zero>},
    {.path = "sys/vm/mmap_rnd_bits", .read = show_text<bits28>},
    {.path = "sys/vm/mmap_rnd_compat_bits", .read = show_text<bits8>},
    {.path = "sys/fs/file-max", .read = show_text<file_max>, .write = ignore},
    {.path = "sys/fs/file-nr", .read = show_file_count},
    {.path = "sys/fs/nr_open", .read = show_text<nr_open>},
    {.path = "sys/fs/pipe-max-size", .read = show_text<pipe_max>},
    {.path = "sys/fs/inotify/max_user_instances", .read = show_text<instances>},
    {.path = "sys/fs/inotify/max_user_watches", .read = show_text<watches>},
    {.path = "sys/fs/inotify/max_queued_events", .read = show_text<queued>},
    {.path = "sys/net/core/somaxconn", .read = show_text<somaxconn>, .write = ignore},
    {.path = "sys/net/core/netdev_max_backlog", .read = show_text<backlog>},
    {.path = "sys/net/core/rmem_max", .read = show_text<memory_max>, .write = ignore},
    {.path = "sys/net/core/wmem_max", .read = show_text<memory_max>, .write = ignore},
    {.path = "sys/net/core/rmem_default", .read = show_text<memory_max>, .write = ignore},
    {.path = "sys/net/core/wmem_default", .read = show_text<memory_max>, .write = ignore},
    {.path = "sys/net/ipv4/ip_local_port_range", .read = show_text<ports>, .write = ignore},
    {.path = "sys/net/ipv4/ip_forward", .read = show_text<zero>},
    {.path = "sys/net/ipv4/tcp_rmem", .read = show_text<receive_memory>, .write = ignore},
    {.path = "sys/net/ipv4/tcp_wmem", .read = show_text<send_memory>, .write = ignore},
    {.path = "sys/net/ipv4/tcp_congestion_control", .read = show_text<congestion>},
    {.path = "sys/net/ipv4/tcp_available_congestion_control", .read = show_text<available>},
    {.path = "sys/net/ipv4/tcp_max_syn_backlog", .read = show_text<syn_backlog>, .write = ignore},
    {.path = "sys/net/ipv4/tcp_fin_timeout", .read = show_text<sixty>, .write = ignore},
    {.path = "sys/net/ipv4/tcp_keepalive_time", .read = show_text<keepalive_time>},
    {.path = "sys/net/ipv4/tcp_keepalive_intvl", .read = show_text<keepalive_interval>},
    {.path = "sys/net/ipv4/tcp_keepalive_probes", .read = show_text<keepalive_probes>},
    {.path = "sys/net/ipv4/tcp_sack", .read = show_text<one>},
    {.path = "sys/net/ipv4/tcp_timestamps", .read = show_text<one>},
    {.path = "sys/net/ipv4/tcp_window_scaling", .read = show_text<one>},
    {.path = "sys/net/ipv4/tcp_fastopen", .read = show_text<zero>},
    {.path = "sys/net/ipv6/conf/all/disable_ipv6", .read = show_text<zero>},
};

// --- /sys ---

result<void> show_cpu_range(text_sink& to, u64) {
    if (cpu_count() == 1) {
        to.put("0\n");
    } else {
        format(to, "0-{}\n", cpu_count() - 1);
    }
    return {};
}

result<void> show_node_cpus(text_sink& to, u64) {
    format(to, "{:x}\n", cpu_count() >= 64 ? ~u64{0} : (u64{1} << cpu_count()) - 1);
    return {};
}

constexpr char none_text[] = "\n", page_bytes[] = "2097152\n", smt_off[] = "notsupported\n";

constexpr pseudo_node sys_nodes[] = {
    {.path = "devices/system/cpu/online", .read = show_cpu_range},
    {.path = "devices/system/cpu/possible", .read = show_cpu_range},
    {.path = "devices/system/cpu/present", .read = show_cpu_range},
    {.path = "devices/system/cpu/offline", .read = show_text<none_text>},
    {.path = "devices/system/cpu/isolated", .read = show_text<none_text>},
    {.path = "devices/system/cpu/smt/control", .read = show_text<smt_off>},
    {.path = "devices/system/cpu/smt/active", .read = show_text<zero>},
    {.path = "devices/system/node/online", .read = show_text<zero>},
    {.path = "devices/system/node/possible", .read = show_text<zero>},
    {.path = "devices/system/node/has_cpu", .read = show_text<zero>},
    {.path = "devices/system/node/has_memory", .read = show_text<zero>},
    {.path = "devices/system/node/node0/cpulist", .read = show_cpu_range},
    {.path = "devices/system/node/node0/cpumap", .read = show_node_cpus},
    {.path = "devices/system/node/node0/meminfo", .read = show_memory_figures},
    {.path = "devices/system/node/node0/distance", .read = show_text<hundred>},
    {.path = "kernel/mm/transparent_hugepage/enabled",
     .read = show_text<madvise_text>,
     .write = ignore},
    {.path = "kernel/mm/transparent_hugepage/defrag",
     .read = show_text<madvise_text>,
     .write = ignore},
    {.path = "kernel/mm/transparent_hugepage/shmem_enabled", .read = show_text<madvise_text>},
    {.path = "kernel/mm/transparent_hugepage/hpage_pmd_size", .read = show_text<page_bytes>},
    {.path = "kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", .read = show_text<zero>},
    {.path = "kernel/mm/hugepages/hugepages-2048kB/free_hugepages", .read = show_text<zero>},
};

}  // namespace

result<void> add_system_views() {
    return the_proc().add(nodes);
}

// A folder for each CPU that runs; their names must live for ever.
result<void> add_sys_views() {
    TRY(the_sys().add(sys_nodes));
    for (u32 cpu = 0; cpu < cpu_count(); ++cpu) {
        auto* path = new (std::nothrow) char[64];
        auto* made = new (std::nothrow) pseudo_node[1];
        if (path == nullptr || made == nullptr) {
            return err::nomem;
        }
        const usize length =
            format_to({path, 64}, "devices/system/cpu/cpu{}/topology/physical_package_id", cpu);
        made[0] = {.path = {path, length}, .read = show_text<zero>};
        TRY(the_sys().add({made, 1}));
    }
    return {};
}

// The seam that fs/boot.cc calls once /proc and /sys are mounted.
result<void> fill_views() {
    TRY(add_process_views());
    TRY(add_system_views());
    TRY(add_net_views());
    return add_sys_views();
}

}  // namespace kiln
