// kernel only: operator new and delete on the kernel heap. The host tests keep the host's own, which
// the sanitizers watch.
#include <new>

#include "core/heap.hh"

const std::nothrow_t std::nothrow{};

// -fcheck-new: null is an answer, also for the throwing forms, which the kernel does not have.
void* operator new(std::size_t size) {
    return kiln::heap_allocate(size);
}
void* operator new[](std::size_t size) {
    return kiln::heap_allocate(size);
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return kiln::heap_allocate(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
    return kiln::heap_allocate(size);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    return kiln::heap_allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return kiln::heap_allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* object) noexcept {
    kiln::heap_release(object);
}
void operator delete[](void* object) noexcept {
    kiln::heap_release(object);
}
void operator delete(void* object, std::size_t) noexcept {
    kiln::heap_release(object);
}
void operator delete[](void* object, std::size_t) noexcept {
    kiln::heap_release(object);
}
void operator delete(void* object, std::align_val_t) noexcept {
    kiln::heap_release(object);
}
void operator delete(void* object, std::size_t, std::align_val_t) noexcept {
    kiln::heap_release(object);
}
void operator delete(void* object, const std::nothrow_t&) noexcept {
    kiln::heap_release(object);
}
void operator delete[](void* object, const std::nothrow_t&) noexcept {
    kiln::heap_release(object);
}
