// The one thing we want from AML: the values of \_S5. The byte code is searched for the declaration
// itself, `Name(_S5, Package(n) {a, b, …})`, which is NameOp, the name, PackageOp, PkgLength, the
// count, and integers (ACPI 6.4, 20.2).
#include <algorithm>

#include "drivers/acpi/tables.hh"
#include "lib/bytes.hh"

namespace kiln::acpi {
namespace {

constexpr u8 name_op = 0x08, package_op = 0x12, root_character = '\\';

class aml_cursor {
public:
    aml_cursor(table_bytes bytes, usize at) : _bytes(bytes), _at(at) {}

    result<u8> byte() {
        if (_at >= _bytes.size()) {
            return err::badmsg;
        }
        return static_cast<u8>(_bytes[_at++]);
    }

    // The length itself is of no use here, only its size in bytes: the top two bits of the first.
    result<void> skip_package_length() {
        const u8 first = TRY(byte());
        _at += first >> 6;
        return {};
    }

    result<u8> small_integer() {
        const u8 op = TRY(byte());
        usize width = 0;
        switch (op) {
            case 0x00:
            case 0x01:
                return op;
            case 0x0a:
                width = 1;
                break;
            case 0x0b:
                width = 2;
                break;
            case 0x0c:
                width = 4;
                break;
            default:
                return err::badmsg;
        }
        const u8 value = TRY(byte());
        _at += width - 1;
        return value;
    }

private:
    table_bytes _bytes;
    usize _at;
};

bool is_declaration(table_bytes table, usize name_at) {
    if (name_at == 0) {
        return false;
    }
    const u8 before = static_cast<u8>(table[name_at - 1]);
    return before == name_op || (before == root_character && name_at >= 2 &&
                                 static_cast<u8>(table[name_at - 2]) == name_op);
}

result<sleep_state> parse_package(aml_cursor cursor) {
    if (TRY(cursor.byte()) != package_op) {
        return err::badmsg;
    }
    TRY(cursor.skip_package_length());
    const u8 count = TRY(cursor.byte());
    if (count == 0) {
        return err::badmsg;
    }
    sleep_state found{true, 0, 0};
    found.type_a = TRY(cursor.small_integer());
    if (count > 1) {
        found.type_b = TRY(cursor.small_integer());
    }
    // The register's field has three bits.
    if (found.type_a > 7 || found.type_b > 7) {
        return err::badmsg;
    }
    return found;
}

}  // namespace

void find_s5(table_bytes table, sleep_state& to) {
    static constexpr char name[] = {'_', 'S', '5', '_'};
    const auto* wanted = reinterpret_cast<const std::byte*>(name);
    for (auto at = table.begin();; ++at) {
        at = std::search(at, table.end(), wanted, wanted + sizeof(name));
        if (at == table.end()) {
            return;
        }
        const usize offset = static_cast<usize>(at - table.begin());
        if (!is_declaration(table, offset)) {
            continue;
        }
        auto found = parse_package(aml_cursor(table, offset + sizeof(name)));
        if (found.ok()) {
            to = found.value();
            return;
        }
    }
}

}  // namespace kiln::acpi
