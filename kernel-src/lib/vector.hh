// Growable array whose growth can fail: push_back and friends return err::nomem and leave the
// vector as it was. Elements are moved on growth. Not locked.
#pragma once

#include <new>
#include <span>
#include <utility>

#include "lib/result.hh"
#include "lib/types.hh"

namespace kiln {

template <class T>
class vector {
public:
    constexpr vector() = default;
    vector(vector&& other) noexcept
        : _data(std::exchange(other._data, nullptr)),
          _size(std::exchange(other._size, 0)),
          _capacity(std::exchange(other._capacity, 0)) {}
    vector& operator=(vector&& other) noexcept {
        if (this != &other) {
            clear();
            ::operator delete(_data);
            _data = std::exchange(other._data, nullptr);
            _size = std::exchange(other._size, 0);
            _capacity = std::exchange(other._capacity, 0);
        }
        return *this;
    }
    vector(const vector&) = delete;
    vector& operator=(const vector&) = delete;
    ~vector() {
        clear();
        ::operator delete(_data);
    }

    usize size() const { return _size; }
    usize capacity() const { return _capacity; }
    bool empty() const { return _size == 0; }
    T* data() { return _data; }
    const T* data() const { return _data; }
    T& operator[](usize index) { return _data[index]; }
    const T& operator[](usize index) const { return _data[index]; }
    T& front() { return _data[0]; }
    T& back() { return _data[_size - 1]; }
    const T& back() const { return _data[_size - 1]; }
    T* begin() { return _data; }
    T* end() { return _data + _size; }
    const T* begin() const { return _data; }
    const T* end() const { return _data + _size; }
    operator std::span<T>() { return {_data, _size}; }              // NOLINT
    operator std::span<const T>() const { return {_data, _size}; }  // NOLINT

    result<void> reserve(usize wanted) {
        if (wanted <= _capacity) {
            return {};
        }
        if (wanted > SIZE_MAX / sizeof(T) / 2) {
            return err::nomem;
        }
        auto* moved = static_cast<T*>(::operator new(wanted * sizeof(T), std::nothrow));
        if (moved == nullptr) {
            return err::nomem;
        }
        for (usize i = 0; i < _size; ++i) {
            new (moved + i) T(std::move(_data[i]));
            _data[i].~T();
        }
        ::operator delete(_data);
        _data = moved;
        _capacity = wanted;
        return {};
    }

    result<void> push_back(T value) {
        if (_size == _capacity) {
            TRY(reserve(_capacity == 0 ? 4 : _capacity * 2));
        }
        new (_data + _size++) T(std::move(value));
        return {};
    }

    result<void> append(std::span<const T> values) {
        if (_size + values.size() > _capacity) {
            const usize doubled = _capacity * 2;
            TRY(reserve(doubled > _size + values.size() ? doubled : _size + values.size()));
        }
        for (const T& value : values) {
            new (_data + _size++) T(value);
        }
        return {};
    }

    // New elements are value-initialised.
    result<void> resize(usize wanted) {
        TRY(reserve(wanted));
        while (_size < wanted) {
            new (_data + _size++) T();
        }
        truncate(wanted);
        return {};
    }

    void truncate(usize wanted) {
        while (_size > wanted) {
            _data[--_size].~T();
        }
    }
    void pop_back() { truncate(_size - 1); }
    void clear() { truncate(0); }

    // Keeps the order of the others.
    void erase(usize index) {
        for (usize i = index; i + 1 < _size; ++i) {
            _data[i] = std::move(_data[i + 1]);
        }
        pop_back();
    }

private:
    T* _data = nullptr;
    usize _size = 0;
    usize _capacity = 0;
};

}  // namespace kiln
