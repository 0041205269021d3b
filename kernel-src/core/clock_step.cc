#include "core/clock_step.hh"

#include "core/mutex.hh"

namespace kiln {
namespace {

struct step_state {
    mutex lock;
    list<step_listener, &step_listener::link> listeners;
};
constinit step_state state;

}  // namespace

void add_step_listener(step_listener& listener) {
    lock_guard guard(state.lock);
    state.listeners.push_back(listener);
}

void remove_step_listener(step_listener& listener) {
    lock_guard guard(state.lock);
    list<step_listener, &step_listener::link>::remove(listener);
}

void tell_of_step(u64 by) {
    lock_guard guard(state.lock);
    for (step_listener& each : state.listeners) {
        each.on_step(each, by);
    }
}

}  // namespace kiln
