// Zeroed memory that the device reads and writes, in whole pages. It is freed with its owner, so
// the device must have been stopped by then.
#pragma once

#include <bit>

#include "core/page.hh"
#include "drivers/dma.hh"

namespace kiln::ena {

class dma_memory : noncopyable {
public:
    ~dma_memory() {
        if (_pages != nullptr) {
            drop_page_reference(*_pages);
        }
    }
    result<void> allocate(usize size) {
        const usize pages = align_up(size, page_size) / page_size;
        _pages = TRY(alloc_pages(static_cast<u32>(std::bit_width(pages - 1))));
        _size = size;
        clear();
        return {};
    }
    void clear() { __builtin_memset(bytes(), 0, _size); }

    std::byte* bytes() const { return static_cast<std::byte*>(page_data(*_pages)); }
    u64 place() const { return dma_address(bytes()); }
    usize size() const { return _size; }
    template <class T>
    T* as() const {
        return reinterpret_cast<T*>(bytes());
    }

private:
    page* _pages = nullptr;
    usize _size = 0;
};

}  // namespace kiln::ena
