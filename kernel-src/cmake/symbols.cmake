# Links the kernel twice: once to learn where its functions are, then with the table of their names.
# The text comes first in the image, so the table, behind it, moves no function.
set(no_symbols ${CMAKE_CURRENT_BINARY_DIR}/no_symbols.S)
file(CONFIGURE OUTPUT ${no_symbols} CONTENT [[
    .section .rodata.symbols, "a", @progbits
    .globl symbol_table, symbol_table_end, symbol_names
symbol_table:
symbol_table_end:
symbol_names: .byte 0
    .section .note.GNU-stack, "", @progbits
]] @ONLY)
set(symbols ${CMAKE_CURRENT_BINARY_DIR}/symbols.S)
add_custom_command(OUTPUT ${symbols}
    COMMAND ${CMAKE_NM} --numeric-sort --demangle $<TARGET_FILE:kiln_without_symbols>
        | awk -f ${CMAKE_CURRENT_SOURCE_DIR}/cmake/symbols.awk > ${symbols}
    DEPENDS kiln_without_symbols ${CMAKE_CURRENT_SOURCE_DIR}/cmake/symbols.awk
    COMMENT "Naming the kernel's functions" VERBATIM)
