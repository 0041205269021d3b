// The kernel heap. Small objects come from size classes carved out of single pages, larger ones are
// whole blocks of pages.
//
// Each CPU keeps a magazine of free objects a class; since kernel code is not preempted and interrupt
// handlers never allocate, it needs no lock. Magazines are filled from and emptied to the class's
// slabs under its lock. A slab page: owner = the class, index = address of the first free object (0:
// none), owner_word = objects in use; it is on the class's list while it has a free object.
// Context: threads, not interrupt handlers.
#include "core/heap.hh"

#include <algorithm>
#include <bit>

#include "core/page.hh"
#include "core/reclaim.hh"
#include "core/spinlock.hh"
#include "core/thread.hh"
#include "lib/assert.hh"

namespace kiln {
namespace {

constexpr usize class_sizes[] = {16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1344, 2048};
constexpr usize class_count = sizeof(class_sizes) / sizeof(class_sizes[0]);
constexpr usize largest_class = 2048;
constexpr usize class_alignment = 16;
constexpr u32 magazine_size = 32;

struct magazine {
    u32 count = 0;
    void* objects[magazine_size] = {};
};

struct size_class {
    irq_spinlock lock;
    list<page, &page::link> partial;
    per_cpu<magazine> magazines;
    usize object_size = 0;
};

struct heap {
    size_class classes[class_count];
    u8 class_of_units[largest_class / 16 + 1] = {};
};

constinit heap the_heap;

size_class& class_for(usize size) {
    return the_heap.classes[the_heap.class_of_units[(size + 15) / 16]];
}

u32 objects_a_page(const size_class& kind) {
    return static_cast<u32>(page_size / kind.object_size);
}

page* make_slab(size_class& kind) {
    result<page*> made = alloc_page(alloc_mode::nowait);
    if (!made.ok()) {
        return nullptr;
    }
    page* slab = made.value();
    slab->set(page::slab);
    slab->owner = &kind;
    slab->owner_word = 0;
    auto* base = static_cast<std::byte*>(page_data(*slab));
    u64 next = 0;
    for (u32 i = objects_a_page(kind); i-- > 0;) {
        *reinterpret_cast<u64*>(base + i * kind.object_size) = next;
        next = reinterpret_cast<u64>(base + i * kind.object_size);
    }
    slab->index = next;
    return slab;
}

void* take_from_slab(size_class& kind, page& slab) {
    auto* object = reinterpret_cast<u64*>(slab.index);
    slab.index = *object;
    ++slab.owner_word;
    if (slab.index == 0) {
        kind.partial.remove(slab);
    }
    return object;
}

void refill(size_class& kind, magazine& mine) {
    u64 saved = kind.lock.lock();
    while (mine.count < magazine_size / 2) {
        page* slab = kind.partial.front();
        if (slab == nullptr) {
            slab = make_slab(kind);
            if (slab == nullptr) {
                break;
            }
            kind.partial.push_front(*slab);
        }
        mine.objects[mine.count++] = take_from_slab(kind, *slab);
    }
    kind.lock.unlock(saved);
}

void give_back_to_slab(size_class& kind, void* object) {
    page& slab = phys_to_page(virt_to_phys(object));
    if (slab.index == 0) {
        kind.partial.push_front(slab);
    }
    *static_cast<u64*>(object) = slab.index;
    slab.index = reinterpret_cast<u64>(object);
    if (--slab.owner_word == 0) {
        kind.partial.remove(slab);
        slab.clear(page::slab);
        drop_page_reference(slab);
    }
}

void drain(size_class& kind, magazine& mine) {
    irq_guard guard(kind.lock);
    while (mine.count > magazine_size / 2) {
        give_back_to_slab(kind, mine.objects[--mine.count]);
    }
}

void* allocate_large(usize size) {
    const u32 order = static_cast<u32>(std::bit_width((size - 1) >> page_shift));
    result<page*> block = alloc_pages(order);
    return block.ok() ? page_data(*block.value()) : nullptr;
}

void* try_allocate(usize size) {
    if (size > largest_class) {
        return allocate_large(size);
    }
    size_class& kind = class_for(size);
    magazine& mine = kind.magazines.mine();
    if (mine.count == 0) {
        refill(kind, mine);
    }
    return mine.count == 0 ? nullptr : mine.objects[--mine.count];
}

}  // namespace

void* heap_allocate(usize size) {
    for (;;) {
        void* object = try_allocate(size);
        if (object != nullptr || !reclaim_pages(1)) {
            return object;
        }
    }
}

void* heap_allocate(usize size, usize alignment) {
    return heap_allocate(alignment <= class_alignment ? size : std::max(size, largest_class + 1));
}

void heap_release(void* object) {
    if (object == nullptr) {
        return;
    }
    page& block = phys_to_page(virt_to_phys(object));
    if (!block.has(page::slab)) {
        drop_page_reference(block);
        return;
    }
    auto& kind = *static_cast<size_class*>(block.owner);
#ifdef KILN_DEBUG
    __builtin_memset(object, 0xa5, kind.object_size);
#endif
    magazine& mine = kind.magazines.mine();
    if (mine.count == magazine_size) {
        drain(kind, mine);
    }
    mine.objects[mine.count++] = object;
}

void heap_init() {
    u8 kind = 0;
    for (usize units = 0; units <= largest_class / 16; ++units) {
        if (units * 16 > class_sizes[kind]) {
            ++kind;
        }
        the_heap.class_of_units[units] = kind;
    }
    for (usize i = 0; i < class_count; ++i) {
        the_heap.classes[i].object_size = class_sizes[i];
    }
}

}  // namespace kiln
