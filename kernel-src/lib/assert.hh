// Checks of our own invariants. KILN_ASSERT is in every build and ends in a panic with the place and
// the condition; KILN_DEBUG_ASSERT only in debug builds, for what is too dear otherwise.
#pragma once

namespace kiln {

// Never returns. The kernel prints a report and stops; on the host it aborts.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);

}  // namespace kiln

#define KILN_ASSERT(condition)                                              \
    do {                                                                    \
        if (!(condition)) [[unlikely]] {                                    \
            ::kiln::assertion_failed(#condition, __FILE_NAME__, __LINE__);  \
        }                                                                   \
    } while (0)

#ifdef KILN_DEBUG
#define KILN_DEBUG_ASSERT(condition) KILN_ASSERT(condition)
#else
#define KILN_DEBUG_ASSERT(condition) \
    do {                             \
        (void)sizeof(!(condition));  \
    } while (0)
#endif
