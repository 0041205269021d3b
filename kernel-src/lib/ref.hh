// Intrusive reference counts: `ref<T>` holds one reference to a T that derives from ref_counted<T>.
//
// A new object starts with one reference, which make_ref or ref<T>::adopt takes over. Counting is
// atomic; a ref itself is not. When the last reference goes, T::last_reference() is called if T has
// one (it must end the object's life, e.g. give it back to a cache), else `delete`.
#pragma once

#include <atomic>
#include <new>
#include <utility>

#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln {

template <class T>
class ref_counted : noncopyable {
public:
    void add_reference() const { _references.fetch_add(1, std::memory_order_relaxed); }

    // For look-up tables that hold no reference: fails when the object is already going.
    bool try_add_reference() const {
        u32 count = _references.load(std::memory_order_relaxed);
        while (count != 0) {
            if (_references.compare_exchange_weak(count, count + 1, std::memory_order_acquire,
                                                  std::memory_order_relaxed)) {
                return true;
            }
        }
        return false;
    }

    void drop_reference() const {
        if (_references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
            auto* self = const_cast<T*>(static_cast<const T*>(this));
            if constexpr (requires { self->last_reference(); }) {
                self->last_reference();
            } else {
                delete self;
            }
        }
    }

    u32 reference_count() const { return _references.load(std::memory_order_relaxed); }

protected:
    constexpr ref_counted() = default;
    ~ref_counted() = default;

private:
    mutable std::atomic<u32> _references{1};
};

template <class T>
class ref {
public:
    constexpr ref() = default;
    constexpr ref(std::nullptr_t) {}  // NOLINT(google-explicit-constructor)
    explicit ref(T* object) : _object(object) {
        if (_object != nullptr) {
            _object->add_reference();
        }
    }
    ref(const ref& other) : ref(other._object) {}
    ref(ref&& other) noexcept : _object(std::exchange(other._object, nullptr)) {}
    template <class U>
        requires std::is_convertible_v<U*, T*>
    ref(const ref<U>& other) : ref(static_cast<T*>(other.get())) {}  // NOLINT
    template <class U>
        requires std::is_convertible_v<U*, T*>
    ref(ref<U>&& other) noexcept : _object(other.leak()) {}  // NOLINT
    ref& operator=(ref other) noexcept {
        std::swap(_object, other._object);
        return *this;
    }
    ~ref() {
        if (_object != nullptr) {
            _object->drop_reference();
        }
    }

    // Takes over a reference that the caller owns.
    static ref adopt(T* object) {
        ref taken;
        taken._object = object;
        return taken;
    }
    // Gives the reference to the caller, who must drop it.
    T* leak() { return std::exchange(_object, nullptr); }

    T* get() const { return _object; }
    T* operator->() const { return _object; }
    T& operator*() const { return *_object; }
    explicit operator bool() const { return _object != nullptr; }
    bool operator==(const ref& other) const { return _object == other._object; }
    bool operator==(const T* other) const { return _object == other; }

private:
    T* _object = nullptr;
};

template <class T, class... Args>
result<ref<T>> make_ref(Args&&... args) {
    T* object = new (std::nothrow) T(std::forward<Args>(args)...);
    if (object == nullptr) {
        return err::nomem;
    }
    return ref<T>::adopt(object);
}

// The single owner of an object made by new; the kernel has no <memory>.
template <class T>
class unique {
public:
    constexpr unique() = default;
    constexpr unique(std::nullptr_t) {}  // NOLINT
    explicit unique(T* object) : _object(object) {}
    unique(unique&& other) noexcept : _object(other.leak()) {}
    template <class U>
        requires std::is_convertible_v<U*, T*>
    unique(unique<U>&& other) noexcept : _object(other.leak()) {}  // NOLINT
    unique& operator=(unique&& other) noexcept {
        reset(other.leak());
        return *this;
    }
    unique(const unique&) = delete;
    unique& operator=(const unique&) = delete;
    ~unique() { delete _object; }

    void reset(T* object = nullptr) { delete std::exchange(_object, object); }
    T* leak() { return std::exchange(_object, nullptr); }
    T* get() const { return _object; }
    T* operator->() const { return _object; }
    T& operator*() const { return *_object; }
    explicit operator bool() const { return _object != nullptr; }

private:
    T* _object = nullptr;
};

template <class T, class... Args>
result<unique<T>> make_unique(Args&&... args) {
    T* object = new (std::nothrow) T(std::forward<Args>(args)...);
    if (object == nullptr) {
        return err::nomem;
    }
    return unique<T>(object);
}

}  // namespace kiln
