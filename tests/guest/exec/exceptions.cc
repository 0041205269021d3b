/* C++: exceptions through frames and threads, static objects, RTTI, threads and atomics. */
#include <atomic>
#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

struct guard {
    ~guard() { std::cout << "unwound\n"; }
};

static std::map<std::string, int> table{{"one", 1}, {"two", 2}};

static int deep(int levels) {
    guard here;
    if (levels == 0) {
        throw std::runtime_error("from the depth");
    }
    return deep(levels - 1) + 1;
}

struct base {
    virtual ~base() = default;
};
struct derived : base {};

int main() {
    try {
        deep(3);
    } catch (const std::exception &problem) {
        std::cout << "caught " << problem.what() << "\n";
    }
    std::atomic<int> sum = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++) {
        threads.emplace_back([&sum, i] {
            for (int k = 0; k < 100; k++) {
                try {
                    if (k % 2) {
                        throw i;
                    }
                } catch (int value) {
                    sum += value;
                }
            }
        });
    }
    for (auto &thread : threads) {
        thread.join();
    }
    std::cout << sum << " " << table["two"] << "\n";
    std::unique_ptr<base> object = std::make_unique<derived>();
    std::cout << (dynamic_cast<derived *>(object.get()) != nullptr) << "\n";
    try {
        std::vector<int>().at(5);
    } catch (const std::out_of_range &) {
        std::cout << "out of range\n";
    }
    return 0;
}
