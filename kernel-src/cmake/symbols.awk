# Turns `nm --numeric-sort --demangle` of the linked kernel into the table of core/symbols.cc: for each
# function its offset from image_start and its name, without parameters.
$3 == "image_start" { start = substr($1, 9) }
$2 !~ /^[tTwW]$/ { next }
{
    name = substr($0, index($0, $3))
    gsub(/\(anonymous namespace\)::/, "", name)
    gsub(/kiln::/, "", name)
    sub(/\(.*/, "", name)
    gsub(/["\\]/, "", name)
    if ($1 == last || name == "") next
    last = $1
    count++
    offsets = offsets "    .long 0x" substr($1, 9) " - start\n    .long name_" count " - symbol_names\n"
    names = names "name_" count ": .asciz \"" name "\"\n"
}
END {
    print "    .section .rodata.symbols, \"a\", @progbits"
    print "    .balign 4"
    print "    .set start, 0x" start
    print "    .globl symbol_table, symbol_table_end, symbol_names"
    print "symbol_table:"
    printf "%s", offsets
    print "symbol_table_end:"
    print "symbol_names:"
    printf "%s", names
    print "    .section .note.GNU-stack, \"\", @progbits"
}
