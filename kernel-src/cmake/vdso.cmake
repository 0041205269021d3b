# The vDSO: a shared object for the program, carried in the kernel as bytes.
set(vdso_folder ${CMAKE_CURRENT_SOURCE_DIR}/linux/vdso)
add_library(vdso SHARED ${vdso_folder}/vdso.cc)
target_include_directories(vdso PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
set_target_properties(vdso PROPERTIES LINK_DEPENDS ${vdso_folder}/vdso.ld)
target_compile_options(vdso PRIVATE
    -O2 -fPIC -ffreestanding -fvisibility=hidden -fno-exceptions -fno-rtti -fno-stack-protector
    -fcf-protection=none -fasynchronous-unwind-tables
    -ffile-prefix-map=${CMAKE_CURRENT_SOURCE_DIR}=.)
target_link_options(vdso PRIVATE
    -nostdlib -Wl,-soname=linux-vdso.so.1 -Wl,--hash-style=both -Wl,--build-id=sha1 -Wl,-Bsymbolic
    -Wl,--no-undefined -Wl,-z,noexecstack -Wl,--eh-frame-hdr -Wl,--strip-all
    -Wl,-T,${vdso_folder}/vdso.ld)

set(vdso_image ${vdso_folder}/image.S)
set_source_files_properties(${vdso_image} PROPERTIES
    COMPILE_OPTIONS "-DVDSO_FILE=\"$<TARGET_FILE:vdso>\""
    OBJECT_DEPENDS ${CMAKE_CURRENT_BINARY_DIR}/libvdso.so)
