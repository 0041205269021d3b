// A global object that is never destroyed: `constinit forever<vector<int>> numbers;`. Its type may
// have a destructor without the compiler registering one to be run at exit, which a kernel has not.
#pragma once

namespace kiln {

template <class T>
union forever {
    constexpr forever() : value() {}
    ~forever() {}
    forever(const forever&) = delete;
    forever& operator=(const forever&) = delete;

    T* operator->() { return &value; }
    T& operator*() { return value; }

    T value;
};

}  // namespace kiln
