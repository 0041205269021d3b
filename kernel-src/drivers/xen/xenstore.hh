// The host's tree of names and values (docs/misc/xenstore.txt, xs_wire.h), over the ring that Xen gave us.
//
// Paths are absolute, or relative to this domain's own directory ("device/vbd/768/ring-ref"). Requests
// of several threads are under way at once. One that the host leaves unanswered ends after
// `request_limit` with err::timedout and a sentence in the log; what the host says afterwards is
// thrown away. The errors of the host come as they are: err::noent, err::acces, err::again …
//
// Handlers of watches run one after the other in a thread of their own: they may sleep and make
// requests, also watch and unwatch. Context of everything here: threads.
#pragma once

#include <string_view>

#include "core/clock.hh"
#include "lib/ref.hh"
#include "lib/string.hh"

namespace kiln::xen::xenstore {

inline constexpr u64 request_limit = 30 * ns_per_s;
// Longest value and path (XENSTORE_PAYLOAD_MAX, XENSTORE_ABS_PATH_MAX).
inline constexpr usize largest_payload = 4096, longest_path = 3072;
// How often in_transaction tries anew when others changed what it read.
inline constexpr u32 most_attempts = 20;

// Opens the ring. Once, after event_channel::start; a machine without a store says so.
result<void> start();

// Whether there is a store to ask: false anywhere but on Xen, and when its ring cannot be used.
bool available();

// One view of the tree: what it reads is as of begin, what it writes appears at commit, all or nothing.
// One thread uses it. Without commit nothing of it happens.
class transaction : noncopyable {
public:
    transaction() = default;
    ~transaction();
    result<void> begin();
    // err::again: others changed what it read; to be tried anew from begin.
    result<void> commit();
    u32 id() const { return _id; }

private:
    u32 _id = 0;
};

// Id 0 is no transaction: each request by itself.
result<string> read(std::string_view path, u32 transaction_id = 0);
result<void> write(std::string_view path, std::string_view value, u32 transaction_id = 0);
// Names of the entries of a directory, without their paths.
result<vector<string>> list(std::string_view path, u32 transaction_id = 0);
result<void> remove(std::string_view path, u32 transaction_id = 0);

// Decimal numbers. err::inval when the value is none or does not fit.
result<u64> read_number(std::string_view path, u32 transaction_id = 0);
result<void> write_number(std::string_view path, u64 value, u32 transaction_id = 0);

// directory + "/" + name.
result<string> join(std::string_view directory, std::string_view name);

// Carries out `body(transaction&)`, which returns result<void>, until nobody interfered.
template <class Body>
result<void> in_transaction(Body body) {
    for (u32 attempt = 0; attempt < most_attempts; ++attempt) {
        transaction attempted;
        TRY(attempted.begin());
        TRY(body(attempted));
        const result<void> done = attempted.commit();
        if (done.ok() || done.error() != err::again) {
            return done.ok() ? result<void>() : result<void>(done.error());
        }
    }
    return err::again;
}

// Called with the path that changed, which is the watched one or lies below it: once at the start,
// and after every change. Several changes may be told as one.
using watch_handler = void (*)(void* of, std::string_view changed);

// The number to unwatch by.
result<u32> watch(std::string_view path, watch_handler handler, void* of);
// After it returned the handler is not running and runs no more; only from a watch's own handler it
// returns while that runs.
void unwatch(u32 watch);

}  // namespace kiln::xen::xenstore
