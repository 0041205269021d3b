// Takes the entries of a directory, one by one, as a file system lists them.
#pragma once

#include <string_view>

#include "lib/types.hh"

namespace kiln {

struct directory_entry {
    std::string_view name;
    u64 inode_number;
    u8 type;     // DT_*
    u64 cookie;  // where listing goes on after this entry
};

class directory_sink {
public:
    // False: no more room, and the entry was not taken.
    virtual bool add(const directory_entry& entry) = 0;

protected:
    ~directory_sink() = default;
};

}  // namespace kiln
