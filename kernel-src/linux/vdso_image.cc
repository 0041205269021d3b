// kernel only: the vDSO's bytes and data page, and their place in the program's memory.
#include "linux/vdso_image.hh"

#include "arch/x86_64/layout.hh"
#include "core/entropy.hh"
#include "core/vdso_data.hh"
#include "mm/address_space.hh"

extern "C" const std::byte vdso_image_start[];
extern "C" const std::byte vdso_image_end[];

namespace kiln {

alignas(page_size) constinit vdso_data_page the_vdso_page;

namespace {

u64 image_to_phys(const void* address) {
    return reinterpret_cast<u64>(address) - layout::image_base;
}

// Above the stack, at a random page before the next 2 MiB boundary but one, as Linux does.
u64 choose_address(u64 stack_top, u64 size) {
    const u64 start = align_up(stack_top, page_size);
    u64 end = align_down(start + size + large_page_size - 1, large_page_size);
    end = std::min(end, user_end) - size;
    if (end <= start) {
        return 0;
    }
    return start + random_u64() % (((end - start) >> page_shift) + 1) * page_size;
}

}  // namespace

result<u64> map_vdso(u64 stack_top) {
    const u64 image_size =
        align_up(static_cast<u64>(vdso_image_end - vdso_image_start), page_size);
    const u64 size = image_size + page_size;
    auto& space = the_address_space();
    u64 address = choose_address(stack_top, size);
    if (address == 0 || space.is_mapped(address, page_size)) {
        map_request anywhere;
        anywhere.length = size;
        address = TRY(space.map(std::move(anywhere)));
        TRY(space.unmap(address, size));
    }
    const u64 data[] = {image_to_phys(&the_vdso_page)};
    TRY(space.map_fixed_pages(address, data, prot::read, "[vvar]"));
    vector<u64> pages;
    for (u64 at = 0; at < image_size; at += page_size) {
        TRY(pages.push_back(image_to_phys(vdso_image_start + at)));
    }
    space.layout.vdso = address + page_size;
    return space.map_fixed_pages(address + page_size, pages, prot::read | prot::exec, "[vdso]");
}

}  // namespace kiln
