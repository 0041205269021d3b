# The freestanding kernel: one ELF from every source of the kernel's folders.
file(GLOB_RECURSE kernel_sources CONFIGURE_DEPENDS
    ${CMAKE_CURRENT_SOURCE_DIR}/arch/x86_64/*.cc ${CMAKE_CURRENT_SOURCE_DIR}/arch/x86_64/*.S
    ${CMAKE_CURRENT_SOURCE_DIR}/core/*.cc ${CMAKE_CURRENT_SOURCE_DIR}/mm/*.cc
    ${CMAKE_CURRENT_SOURCE_DIR}/linux/*.cc ${CMAKE_CURRENT_SOURCE_DIR}/fs/*.cc
    ${CMAKE_CURRENT_SOURCE_DIR}/net/*.cc ${CMAKE_CURRENT_SOURCE_DIR}/drivers/*.cc
    ${CMAKE_CURRENT_SOURCE_DIR}/api/*.cc ${CMAKE_CURRENT_SOURCE_DIR}/init/*.cc
    ${CMAKE_CURRENT_SOURCE_DIR}/lib/*.cc)
# The vDSO is a program of its own.
list(FILTER kernel_sources EXCLUDE REGEX "/linux/vdso/")
include(cmake/vdso.cmake)
include(cmake/symbols.cmake)

# No vector registers: they belong to the program. clang 14 cannot parse libstdc++'s headers without
# them, so there the compiler is only told not to use them. The kernel's objects live for ever: gcc
# lists their destructors in a section that is left out, clang would register them with atexit.
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    set(of_compiler -mno-implicit-float -fno-c++-static-destructors -Wno-unused-command-line-argument)
    set(of_linker -Wno-unused-command-line-argument)
else()
    set(of_compiler -mgeneral-regs-only)
    set(of_linker "")
endif()
add_library(kiln_freestanding INTERFACE)
target_link_libraries(kiln_freestanding INTERFACE kiln_warnings)
set(any_language
    -ffreestanding -fno-pic -fno-pie -mno-red-zone -mcmodel=kernel -fno-stack-protector
    -fno-omit-frame-pointer -fno-asynchronous-unwind-tables -fno-strict-aliasing
    -ffunction-sections -fdata-sections -fcf-protection=none
    # Lines for reports always; variables and types for gdb in debug builds.
    $<IF:$<BOOL:${KILN_DEBUG}>,-g,-g1>
    # Paths of the build machine stay out, so that the same sources give the same bytes anywhere.
    -ffile-prefix-map=${CMAKE_CURRENT_SOURCE_DIR}=. -ffile-prefix-map=${CMAKE_CURRENT_BINARY_DIR}=.)
set(of_cxx -O2 -fno-exceptions -fno-rtti -fno-threadsafe-statics -fno-use-cxa-atexit -fcheck-new
    ${of_compiler})
target_compile_options(kiln_freestanding INTERFACE
    ${any_language} "$<$<COMPILE_LANGUAGE:CXX>:${of_cxx}>")
set(linker_script ${CMAKE_CURRENT_SOURCE_DIR}/arch/x86_64/kernel.ld)
target_link_options(kiln_freestanding INTERFACE
    -nostdlib -static -no-pie ${of_linker} -Wl,--gc-sections -Wl,--build-id=sha1
    -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments -Wl,-T,${linker_script})

add_library(kiln_objects OBJECT ${kernel_sources} ${vdso_image})
target_link_libraries(kiln_objects PRIVATE kiln_freestanding)
if(KILN_PRECOMPILE)
    target_precompile_headers(kiln_objects PRIVATE
        "$<$<COMPILE_LANGUAGE:CXX>:<algorithm$<ANGLE-R>;<atomic$<ANGLE-R>;<bit$<ANGLE-R>;<span$<ANGLE-R>;<string_view$<ANGLE-R>>")
endif()
if(KILN_WHOLE_PROGRAM)
    # gcc compiles all files as one: a fifth fewer instructions on the way of a system call, whose small
    # functions lie in many files. What it calls where the CPU has no instruction stays out of that.
    set(whole ${CMAKE_CURRENT_BINARY_DIR}/whole.o)
    set(parts $<FILTER:$<TARGET_OBJECTS:kiln_objects>,EXCLUDE,[.]gch$>)
    target_compile_options(kiln_objects PRIVATE
        "$<$<COMPILE_LANGUAGE:CXX>:-flto=auto;-fno-fat-lto-objects>")
    set_source_files_properties(lib/builtins.cc PROPERTIES COMPILE_OPTIONS -fno-lto)
    add_custom_command(OUTPUT ${whole}
        COMMAND ${CMAKE_CXX_COMPILER} ${any_language} ${of_cxx} -nostdlib -r -flto=auto
            -flinker-output=nolto-rel ${parts} -o ${whole}
        DEPENDS ${parts}
        COMMENT "Compiling the kernel as a whole" COMMAND_EXPAND_LISTS VERBATIM)
    add_custom_target(kiln_whole DEPENDS ${whole})
    set(kernel_code ${whole})
else()
    set(kernel_code $<TARGET_OBJECTS:kiln_objects>)
endif()
foreach(kernel kiln_without_symbols kiln.elf)
    add_executable(${kernel} ${kernel_code})
    target_link_libraries(${kernel} PRIVATE kiln_freestanding)
    set_target_properties(${kernel} PROPERTIES LINK_DEPENDS ${linker_script} LINKER_LANGUAGE CXX)
    if(KILN_WHOLE_PROGRAM)
        add_dependencies(${kernel} kiln_whole)
    endif()
endforeach()
target_sources(kiln_without_symbols PRIVATE ${no_symbols})
target_sources(kiln.elf PRIVATE ${symbols})
