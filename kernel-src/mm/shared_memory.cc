#include "mm/shared_memory.hh"

#include "core/mutex.hh"
#include "mm/page_tree.hh"

namespace kiln {
namespace {

// Lock: _lock, around the tree and the allocation of a page, so that there is only one for a number.
class shared_memory final : public vm_object {
public:
    explicit shared_memory(u64 size) : _size(size) {}

    ~shared_memory() override {
        for (u64 index = 0; void* entry = _pages.next(index); ++index) {
            _pages.remove(index);
            drop_page_reference(*static_cast<page*>(entry));
        }
    }

    result<page*> get_page(u64 index, bool) override {
        if (index >= _size >> page_shift) {
            return err::range;
        }
        lock_guard guard(_lock);
        auto* found = static_cast<page*>(_pages.find(index));
        if (found == nullptr) {
            page_tree::spare_nodes spares;
            TRY(spares.fill(_pages.nodes_missing(index)));
            found = TRY(alloc_zeroed_page());
            _pages.insert(index, found, spares);
        }
        add_page_reference(*found);
        return found;
    }

    page* peek_page(u64 index) override {
        lock_guard guard(_lock);
        auto* found = static_cast<page*>(_pages.find(index));
        if (found != nullptr) {
            add_page_reference(*found);
        }
        return found;
    }

    u64 size() const override { return _size; }

private:
    mutex _lock;
    page_tree _pages;
    const u64 _size;
};

}  // namespace

result<ref<vm_object>> make_shared_memory(u64 size) {
    return ref<vm_object>(TRY(make_ref<shared_memory>(size)));
}

}  // namespace kiln
