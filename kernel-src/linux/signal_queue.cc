#include "linux/signal_queue.hh"

#include <bit>

#include "lib/assert.hh"
#include "lib/result.hh"

namespace kiln {

void pending_signals::add(queued_signal& entry) {
    _entries.push_back(entry);
    _set |= signal_bit(entry.info.signo);
}

int pending_signals::next(signal_set allowed) const {
    signal_set candidates = _set & allowed;
    if ((candidates & synchronous_signals) != 0) {
        candidates &= synchronous_signals;
    }
    return candidates == 0 ? 0 : std::countr_zero(candidates) + 1;
}

queued_signal* pending_signals::find(int signo, queued_signal* after) {
    queued_signal* entry = after == nullptr ? _entries.front() : _entries.next(*after);
    while (entry != nullptr && entry->info.signo != signo) {
        entry = _entries.next(*entry);
    }
    return entry;
}

void pending_signals::release(queued_signal& entry, entry_list& freed) {
    entry_list::remove(entry);
    if (entry.taken != nullptr) {
        entry.taken(entry);
    } else {
        freed.push_back(entry);
    }
}

signal_info pending_signals::take(int signo, entry_list& freed) {
    KILN_DEBUG_ASSERT(has(signo));
    queued_signal* entry = find(signo, nullptr);
    if (entry == nullptr) {
        _set &= ~signal_bit(signo);
        return {.signo = signo, .code = si_code::kernel};
    }
    if (find(signo, entry) == nullptr) {
        _set &= ~signal_bit(signo);
    }
    if (entry->taken == nullptr) {
        const signal_info info = entry->info;
        release(*entry, freed);
        return info;
    }
    // A timer completes its siginfo (the overrun) as it is taken.
    release(*entry, freed);
    return entry->info;
}

void pending_signals::discard(signal_set signals, entry_list& freed) {
    if ((_set & signals) == 0) {
        return;
    }
    for (queued_signal& entry : _entries) {
        if ((signal_bit(entry.info.signo) & signals) != 0) {
            release(entry, freed);
        }
    }
    _set &= ~signals;
}

void pending_signals::withdraw(queued_signal& entry) {
    const int signo = entry.info.signo;
    entry_list::remove(entry);
    if (find(signo, nullptr) == nullptr) {
        _set &= ~signal_bit(signo);
    }
}

default_action default_action_of(int signo) {
    switch (signo) {
    case signo::quit: case signo::ill: case signo::trap: case signo::abrt: case signo::bus:
    case signo::fpe: case signo::segv: case signo::xcpu: case signo::xfsz: case signo::sys:
        return default_action::core;
    case signo::chld: case signo::urg: case signo::winch:
        return default_action::ignore;
    case signo::cont:
        return default_action::resume;
    case signo::stop: case signo::tstp: case signo::ttin: case signo::ttou:
        return default_action::stop;
    default:
        return default_action::terminate;
    }
}

bool is_ignored(int signo, const signal_action& action) {
    if (action.handler == sig_ign) {
        return true;
    }
    if (action.handler != sig_dfl) {
        return false;
    }
    // There is nobody who could resume a stopped process, so stop signals do nothing.
    const default_action effect = default_action_of(signo);
    return effect != default_action::terminate && effect != default_action::core;
}

signal_set mask_in_handler(signal_set blocked, int signo, const signal_action& action) {
    signal_set mask = blocked | action.mask;
    if ((action.flags & sa_flag::nodefer) == 0) {
        mask |= signal_bit(signo);
    }
    return mask & ~unblockable_signals;
}

restart_decision decide_restart(i64 outcome, bool handler_runs, u64 action_flags) {
    switch (static_cast<err>(-outcome)) {
    case err::restart_nointr:
        return restart_decision::again;
    case err::restart_sys:
        if (handler_runs && (action_flags & sa_flag::restart) == 0) {
            return restart_decision::fail;
        }
        return restart_decision::again;
    case err::restart_nohand:
        return handler_runs ? restart_decision::fail : restart_decision::again;
    case err::restart_block:
        return handler_runs ? restart_decision::fail : restart_decision::resume_block;
    default:
        return restart_decision::none;
    }
}

}  // namespace kiln
