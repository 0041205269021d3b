#include "mm/reaper.hh"

#include "core/park.hh"

namespace kiln {
namespace {

void free_all(page_list& pages) {
    usize count = 0;
    while (page* freed = pages.pop_front()) {
        if (freed->order != 0 && freed->owner != nullptr) {
            drop_page_reference(*static_cast<page*>(freed->owner));  // the spare table
            freed->owner = nullptr;
        }
        drop_page_reference(*freed);
        if (++count % 256 == 0) {
            yield();
        }
    }
}

}  // namespace

void release_leaf(u64 entry) {
    if (entry != 0 && (entry & pte::unowned) == 0) {
        page_list single;
        if ((entry & pte::large) != 0) {
            single.push_back(entry_page(entry));
            free_all(single);
        } else {
            drop_page_reference(entry_page(entry));
        }
    }
}

void page_reaper::touch(u64 start, u64 end) {
    _start = std::min(_start, start);
    _end = std::max(_end, end);
}

void page_reaper::add(u64 entry, u64 address, unsigned level) {
    touch(address, address + page_table::span_of(level));
    if ((entry & pte::unowned) != 0) {
        return;
    }
    page& freed = entry_page(entry);
    if ((entry & pte::private_page) != 0) {
        _own.push_back(freed);
        ++_own_count;
    } else {
        _others[_other_count++] = &freed;
    }
    if (_own_count == batch || _other_count == array_size) {
        flush();
    }
}

void page_reaper::flush() {
    if (_start < _end) {
        flush_tlb(_start, _end, !_tables.empty());
    }
    free_all(_own);
    free_all(_tables);
    for (usize i = 0; i < _other_count; ++i) {
        drop_page_reference(*_others[i]);
    }
    _own_count = _other_count = 0;
    _start = ~u64{0};
    _end = 0;
}

}  // namespace kiln
