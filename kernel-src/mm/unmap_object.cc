// kernel only: the host tests have no program whose mappings would have to go.
#include "mm/address_space.hh"

namespace kiln {

void unmap_object_pages(vm_object& object, u64 first, u64 end) {
    the_address_space().forget_object_pages(object, first, end - first);
}

}  // namespace kiln
