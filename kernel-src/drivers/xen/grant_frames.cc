// kernel only
// The memory of this machine's grant table (Xen public grant_table.h, memory.h): each frame of it takes
// the place of a page of ours, which nobody else can have as it is never freed.
#include "core/log.hh"
#include "core/page.hh"
#include "drivers/xen/grant_table.hh"
#include "drivers/xen/hypercall.hh"
#include "drivers/xen/interface.hh"
#include "lib/forever.hh"

namespace kiln::xen {
namespace {

constexpr u32 query_size = 6, set_version = 8;
constexpr u32 space_of_grant_table = 1;

struct table_size {
    u16 domain = domain_self;
    u32 frames = 0, most_frames = 0;
    i16 status = 0;
};

// The structure is followed by how many of it there are.
template <class Structure>
result<void> ask(u32 operation, Structure& structure) {
    return outcome_of(
        hypercall(call::grant_table_op, operation, reinterpret_cast<u64>(&structure), 1));
}

result<grant_entry*> show_frame(void*, u32 index) {
    page* place = TRY(alloc_zeroed_page());
    add_to_physmap made{.domain = domain_self,
                        .space = space_of_grant_table,
                        .index = index,
                        .frame = page_to_phys(*place) >> page_shift};
    auto outcome = call_with(call::memory_op, memory_operation::add_to_physmap, made);
    if (!outcome.ok()) {
        // Xen may have taken the page out already, so it is not used again.
        log_warning("xen: frame {} of the grant table cannot be had (error {})", index,
                    outcome.error());
        return outcome.error();
    }
    return static_cast<grant_entry*>(page_data(*place));
}

constinit forever<grant_table> table;

}  // namespace

grant_table& grants() {
    return *table;
}

result<void> start_grant_table() {
    // Where whoever ran before us wanted another version. Old hypervisors know no other.
    u32 version = 1;
    (void)ask(set_version, version);
    table_size size;
    TRY(ask(query_size, size));
    if (size.status != 0 || size.most_frames == 0) {
        return err::io;
    }
    table->init(&show_frame, nullptr, size.most_frames);
    return {};
}

}  // namespace kiln::xen
