// The store's functions as messages of its protocol, on the machine's one connection.
#include "drivers/xen/xenstore.hh"

#include "core/log.hh"
#include "drivers/xen/event_channel.hh"
#include "drivers/xen/hypercall.hh"
#include "drivers/xen/platform.hh"
#include "drivers/xen/store_client.hh"
#include "drivers/xen/store_text.hh"
#include "lib/forever.hh"

namespace kiln::xen::xenstore {
namespace {

constinit forever<store_client> client;
constinit u32 event_port = 0;

result<void> open() {
    const u64 frame = TRY(read_param(hvm_param::store_frame));
    const u64 port = TRY(read_param(hvm_param::store_port));
    if (frame == 0 || port == 0 || port >= ports_of_two_levels) {
        return err::nodev;
    }
    auto* page = static_cast<store_page*>(TRY(map_frame(frame)));
    event_port = static_cast<u32>(port);
    TRY(client->start(*page, [](void*) { event_channel::notify(event_port); }, nullptr));
    return event_channel::attach(
        event_port, [](void*) { client->on_event(); }, nullptr, 0);
}

result<string> ask(store_message type, std::string_view path, u32 transaction_id) {
    TRY(check_path(path));
    const std::string_view pieces[] = {path, nul};
    return client->request(type, pieces, transaction_id);
}

result<void> end(u32 transaction_id, std::string_view how) {
    const std::string_view pieces[] = {how, nul};
    TRY(client->request(store_message::transaction_end, pieces, transaction_id));
    return {};
}

}  // namespace

result<void> start() {
    const result<void> opened = open();
    if (!opened.ok()) {
        log_error("xenstore: there is none, or it cannot be used (error {})", opened.error());
    }
    return opened.ok() ? result<void>() : result<void>(opened.error());
}

bool available() {
    return client->works();
}

transaction::~transaction() {
    if (_id != 0) {
        static_cast<void>(end(_id, "F"));
    }
}

result<void> transaction::begin() {
    const std::string_view pieces[] = {nul};
    const string answer = TRY(client->request(store_message::transaction_start, pieces));
    const u64 id = TRY(parse_number(without_nul(answer), ~u32{0}));
    if (id == 0) {
        return err::proto;
    }
    _id = static_cast<u32>(id);
    return {};
}

result<void> transaction::commit() {
    return end(std::exchange(_id, 0), "T");
}

result<string> read(std::string_view path, u32 transaction_id) {
    return ask(store_message::read, path, transaction_id);
}

result<void> write(std::string_view path, std::string_view value, u32 transaction_id) {
    TRY(check_path(path));
    const std::string_view pieces[] = {path, nul, value};
    TRY(client->request(store_message::write, pieces, transaction_id));
    return {};
}

result<vector<string>> list(std::string_view path, u32 transaction_id) {
    const string body = TRY(ask(store_message::list, path, transaction_id));
    return split_names(body);
}

result<void> remove(std::string_view path, u32 transaction_id) {
    TRY(ask(store_message::remove, path, transaction_id));
    return {};
}

result<u64> read_number(std::string_view path, u32 transaction_id) {
    const string value = TRY(read(path, transaction_id));
    return parse_number(without_nul(value));
}

result<void> write_number(std::string_view path, u64 value, u32 transaction_id) {
    return write(path, number_text(value).view(), transaction_id);
}

result<string> join(std::string_view directory, std::string_view name) {
    string path = TRY(string::copy(directory));
    TRY(path.append('/'));
    TRY(path.append(name));
    return path;
}

result<u32> watch(std::string_view path, watch_handler handler, void* of) {
    return client->watch(path, handler, of);
}

void unwatch(u32 watch) {
    client->unwatch(watch);
}

}  // namespace kiln::xen::xenstore
