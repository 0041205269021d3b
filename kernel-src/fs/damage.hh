// What was last found wrong on a disk, in words that name the file and the place: for the sentence
// with which a machine refuses to start, long after the error has become a number. Context: any
// that may take a spin lock.
#pragma once

#include "lib/result.hh"
#include "lib/sentence.hh"

namespace kiln {

// Says it on the log, unless it is what was said last.
void note_damage(std::string_view what);

template <class... Args>
void note_damage(std::string_view pattern, const Args&... args)
    requires(sizeof...(args) > 0)
{
    sentence what;
    what.set(pattern, args...);
    note_damage(what.view());
}

// Empty when nothing was wrong so far.
sentence last_damage();

// Adds ": " and what an error of the file system means here; err::io is the last damage.
void add_reason(sentence& to, err error);

}  // namespace kiln
