// Interrupts of simulated devices: they come on a thread of their own, as drivers hold locks while
// they write to registers.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace kiln {

class interrupt_line {
public:
    ~interrupt_line() { disconnect(); }

    void connect(std::function<void()> handler) {
        _thread = std::thread([this, handler] {
            for (std::unique_lock hold(_lock);;) {
                _rung.wait(hold, [this] { return _rings || _over; });
                if (_over) {
                    return;
                }
                _rings = false;
                hold.unlock();
                handler();
                hold.lock();
            }
        });
    }
    void raise() {
        {
            std::lock_guard hold(_lock);
            _rings = true;
        }
        _rung.notify_all();
    }
    // Before the handler's driver goes.
    void disconnect() {
        {
            std::lock_guard hold(_lock);
            _over = true;
        }
        _rung.notify_all();
        if (_thread.joinable()) {
            _thread.join();
        }
    }

private:
    std::mutex _lock;
    std::condition_variable _rung;
    std::thread _thread;
    bool _rings = false, _over = false;
};

}  // namespace kiln
