// Mounts whatever bytes come as an EROFS image and reads all that can be reached: damage must give
// errors, never a crash, a hang, or a read beyond the image.
#include "fs/erofs.hh"
#include "fs/inode.hh"
#include "fs/pipe.hh"

#include <vector>

namespace kiln {
namespace {

class bytes_disk final : public block_device {
public:
    explicit bytes_disk(std::span<const std::byte> content) : _content(content) {}
    std::string_view name() const override { return "fuzz"; }
    u64 size_in_bytes() const override { return _content.size(); }
    bool read_only() const override { return true; }
    result<void> read(u64 offset, std::span<std::byte> into) override {
        if (offset > _content.size() || into.size() > _content.size() - offset) {
            return err::inval;
        }
        __builtin_memcpy(into.data(), _content.data() + offset, into.size());
        return {};
    }
    result<void> write(u64, std::span<const std::byte>) override { return err::rofs; }
    result<void> flush() override { return {}; }

private:
    std::span<const std::byte> _content;
};

class name_collector final : public directory_sink {
public:
    bool add(const directory_entry& entry) override {
        names.emplace_back(entry.name);
        return names.size() < 32;
    }
    std::vector<std::string> names;
};

void read_some(inode& from) {
    page_cache* const pages = from.pages();
    std::byte bytes[4096];
    for (u64 offset = 0; offset < pages->size() && offset < 16 * sizeof(bytes); offset += sizeof(bytes)) {
        io_vector to = io_vector::kernel(bytes, sizeof(bytes));
        if (!pages->read(to, offset).ok()) {
            return;
        }
    }
}

void visit(inode& node, int depth, int& budget) {
    if (--budget < 0) {
        return;
    }
    std::byte attributes[512];
    static_cast<void>(node.list_xattrs(attributes));
    static_cast<void>(node.get_xattr("user.x", attributes));
    if (node.is_symlink()) {
        static_cast<void>(node.read_link());
    } else if (node.is_regular() && node.pages() != nullptr) {
        read_some(node);
    } else if (node.is_directory() && depth < 4) {
        name_collector found;
        static_cast<void>(node.read_directory(0, found));
        for (const std::string& name : found.names) {
            auto child = node.lookup(name);
            if (child.ok()) {
                visit(*child.value(), depth + 1, budget);
            }
        }
    }
}

}  // namespace

void fuzz_one(std::span<const std::byte> bytes) {
    bytes_disk disk(bytes);
    auto mounted = erofs::mount(disk);
    if (!mounted.ok()) {
        return;
    }
    int budget = 64;
    auto root = mounted.value()->root();
    if (root.ok()) {
        visit(*root.value(), 0, budget);
    }
    root = err::io;
    erofs::destroy(mounted.value());
}

}  // namespace kiln

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, unsigned long size) {
    kiln::fuzz_one({reinterpret_cast<const std::byte*>(data), size});
    return 0;
}
