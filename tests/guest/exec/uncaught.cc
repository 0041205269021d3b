/* An exception that nobody catches ends in SIGABRT. */
#include <iostream>
#include <stdexcept>

int main() {
    std::cout << "before" << std::endl;
    throw std::logic_error("nobody catches this");
}
