// ACPI tables: every parser on the same bytes.
#include "drivers/acpi/tables.hh"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, unsigned long size) {
    using namespace kiln::acpi;
    const table_bytes bytes(reinterpret_cast<const std::byte*>(data), size);
    static information found;
    (void)parse_root_pointer(bytes);
    (void)table_length(bytes);
    for (const bool wide : {false, true}) {
        const kiln::usize entries = root_entries(bytes, wide);
        for (kiln::usize i = 0; i <= entries; ++i) {
            (void)root_entry(bytes, wide, i);
        }
    }
    parse_madt(bytes, found.madt);
    parse_fadt(bytes, found.fadt);
    parse_hpet(bytes, found.hpet);
    parse_mcfg(bytes, found.mcfg);
    parse_spcr(bytes, found.spcr);
    find_s5(bytes, found.s5);
    return 0;
}
