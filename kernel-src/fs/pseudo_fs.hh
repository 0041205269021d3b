// Views on kernel objects as files: what /proc and /sys are made of.
//
// A tree of nodes. Fixed nodes are given by path, with a generator that writes the file's text (and
// optionally a function that takes what is written to it). A directory may have a provider of
// further children that come and go (/proc/self/fd). Nodes are never removed. Lock: the tree's
// mutex while nodes are added; reading takes none. Context: threads.
#pragma once

#include <string_view>

#include "fs/dentry.hh"
#include "fs/inode.hh"
#include "lib/format.hh"

namespace kiln {

class pseudo_fs;

// Text that grows as it is written.
class string_sink final : public text_sink {
public:
    void put(std::string_view text) override {
        if (!_text.append(text).ok()) {
            _failed = true;
        }
    }
    result<string> take() {
        if (_failed) {
            return err::nomem;
        }
        return std::move(_text);
    }
    usize size() const { return _text.size(); }

private:
    string _text;
    bool _failed = false;
};

// Makes a file's text each time it is opened (and read from the start). `key` is what the
// directory's provider said for the entry that the file is below, else 0.
using text_generator = result<void> (*)(text_sink& to, u64 key);
// Takes the bytes of one write.
using text_receiver = result<void> (*)(std::string_view text, u64 key);
using link_generator = result<link_target> (*)(u64 key);
using link_mode_generator = u32 (*)(u64 key);
using link_text_generator = result<string> (*)(u64 key);

// Children that come and go: entries are numbers (task ids, descriptors).
struct numbered_children {
    // The first number that is at least `from`; -1 when there is none. `key` is the directory's
    // own.
    i64 (*next)(i64 from, u64 key);
};

struct pseudo_node {
    std::string_view path;  // "sys/kernel/pid_max"; "*" stands for a numbered child
    text_generator read = nullptr;
    text_receiver write = nullptr;
    link_generator follow = nullptr;              // a magic link
    link_mode_generator link_mode = nullptr;      // its permission bits, where they depend
    link_text_generator link = nullptr;           // the text of a link
    const numbered_children* children = nullptr;  // a directory with numbered children
    u32 mode = 0;  // permission bits; 0: 0444, 0644 with `write`, 0555, 0777
};

class pseudo_fs final : public superblock {
public:
    pseudo_fs(std::string_view type_name, u64 magic) : superblock(type_name), _magic(magic) {}

    // The nodes must live for ever. Directories on the way are made.
    result<void> add(std::span<const pseudo_node> nodes);

    result<ref<inode>> root() override;
    void status(filesystem_status& to) override;

    struct entry;

private:
    result<entry*> top();
    result<entry*> make_entry(std::string_view path);

    const u64 _magic;
    mutex _lock;
    entry* _root = nullptr;
    u64 _next_number = 1;
};

// Never null but when memory is out at boot.
pseudo_fs& the_proc();
pseudo_fs& the_sys();

// Puts the views of the layers above into both, at boot; provided by linux/, weak for the host
// tests.
[[gnu::weak]] result<void> fill_views();

// The number of a numbered entry, and that of the one above it, by the key of what is below.
inline constexpr u32 key_number(u64 key) {
    return static_cast<u32>(key);
}
inline constexpr u32 key_outer_number(u64 key) {
    return static_cast<u32>(key >> 32);
}

}  // namespace kiln
