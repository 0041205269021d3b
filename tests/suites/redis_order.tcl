# Keeps requests in order between connections; sourced by the suite's own client.
#
# Some checks write on one connection and, without waiting for an answer, on another, and rely on the
# server to see them in that order. QEMU's user network asks the newest connection first when several
# have something to read, so it turns such requests round. Hence: before a request goes out on another
# connection than the last one, the last one has been read by whoever is at its other end. That is
# looked up in /proc/net/tcp, and only after a request whose answer was not waited for.

namespace eval ::redis_order {
    variable last {}
}

# Bytes that the other end of a connection has received and not read.
proc ::redis_order::unread {fd} {
    if {[catch {fconfigure $fd -sockname} here] || [catch {fconfigure $fd -peername} there]} {
        return 0
    }
    set wanted [format ":%04X 0100007F:%04X " [lindex $there 2] [lindex $here 2]]
    set file [open /proc/net/tcp]
    set table [read $file]
    close $file
    set at [string first $wanted $table]
    if {$at < 0} {
        return 0
    }
    # What follows is the state and tx_queue:rx_queue.
    set rest [string range $table [expr {$at + [string length $wanted]}] end]
    scan $rest "%x %x:%x" state sent received
    return $received
}

proc ::redis_order::wait_for_last {fd} {
    variable last
    if {$last eq {} || $last eq $fd} {
        return
    }
    for {set i 0} {$i < 2000 && [unread $last] > 0} {incr i} {
        after 1
    }
    set last {}
}

rename ::redis::redis_write ::redis_order::write
proc ::redis::redis_write {fd buf} {
    ::redis_order::wait_for_last $fd
    ::redis_order::write $fd $buf
    set ::redis_order::last $fd
}

rename ::redis::__dispatch__raw__ ::redis_order::dispatch
proc ::redis::__dispatch__raw__ {id method argv} {
    set answer [uplevel 1 [list ::redis_order::dispatch $id $method $argv]]
    if {[info exists ::redis::deferred($id)] && !$::redis::deferred($id) && $::redis::blocking($id)} {
        set ::redis_order::last {}
    }
    return $answer
}
