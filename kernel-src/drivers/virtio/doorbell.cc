#include "drivers/virtio/doorbell.hh"

#include "arch/x86_64/ports.hh"

namespace kiln::virtio {

void doorbell::ring_otherwise() const {
    if (_wide != nullptr) {
        *_wide = _queue;
    } else {
        out16(_port, _queue);
    }
}

}  // namespace kiln::virtio
