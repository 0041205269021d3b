// Runs a function when the scope ends, unless dismissed.
#pragma once

#include <utility>

namespace kiln {

template <class Function>
class scope_guard {
public:
    explicit scope_guard(Function function) : _function(std::move(function)) {}
    scope_guard(const scope_guard&) = delete;
    scope_guard& operator=(const scope_guard&) = delete;
    ~scope_guard() {
        if (_armed) {
            _function();
        }
    }
    void dismiss() { _armed = false; }

private:
    Function _function;
    bool _armed = true;
};

}  // namespace kiln
