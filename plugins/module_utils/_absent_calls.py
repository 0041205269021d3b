# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The system calls of Linux that the kernel does not have; they return ENOSYS.

Made from the kernel's sources by `make docs` (tools/absent_calls); do not edit by hand.
"""

from __future__ import annotations

ABSENT = frozenset(
    """
    _sysctl add_key afs_syscall bpf create_module delete_module epoll_ctl_old epoll_wait_old execve
    execveat fanotify_init fanotify_mark finit_module fork fsconfig fsmount fsopen fspick
    get_kernel_syms get_thread_area getpmsg init_module io_cancel io_destroy io_getevents
    io_pgetevents io_setup io_submit io_uring_enter io_uring_register io_uring_setup kcmp
    kexec_file_load kexec_load keyctl landlock_add_rule landlock_create_ruleset
    landlock_restrict_self lookup_dcookie memfd_secret modify_ldt mount_setattr move_mount
    move_pages mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget
    msgrcv msgsnd name_to_handle_at nfsservctl open_by_handle_at open_tree perf_event_open
    pivot_root process_mrelease putpmsg query_module quotactl quotactl_fd request_key seccomp
    security semctl semget semop semtimedop set_mempolicy_home_node set_thread_area swapoff swapon
    sysfs tuxcall uselib userfaultfd ustat vfork vserver
    """.split()
)
