# cmake --install: the program, the library with its headers and pkg-config file, and the man pages, which the program
# prints from the same tables as --help.
set(man_commands "" "theory audit" "theory run" "theory phase" "theory rates" "theory bifurcation" "theory escape"
    "theory sweep" "theory bench" "model info" "model init" "model run" "model generate" "model grad-check"
     "model bench" "kernels verify" "kernels bench" "train" "scenes render" "scenes pretrain" "ablate" "table" "plot")
set(man_pages)
foreach(command IN LISTS man_commands)
  string(REPLACE " " ";" words "${command}")
  string(REPLACE " " "-" page "seesaw ${command}")
  string(REGEX REPLACE "-$" "" page "${page}")
  set(file ${PROJECT_BINARY_DIR}/man/${page}.1)
  add_custom_command(OUTPUT ${file} COMMAND seesaw_program ${words} --man > ${file} DEPENDS seesaw_program VERBATIM)
  list(APPEND man_pages ${file})
endforeach()
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/man)
if(NOT SEESAW_FUZZ)
  add_custom_target(man ALL DEPENDS ${man_pages})
endif()

# the pkg-config file finds its prefix from where it lies, so that the installed tree can be moved
file(RELATIVE_PATH SEESAW_PC_TO_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(cmake/seesaw.pc.in ${PROJECT_BINARY_DIR}/generated/seesaw.pc @ONLY)

install(TARGETS seesaw_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS seesaw ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${man_pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${PROJECT_BINARY_DIR}/generated/seesaw.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(GLOB headers base/*.h theory/*.h reference/*.h reference/c/c.h reference/data/*.h
     reference/model/*.h reference/train/*.h
     kernels/backends.h kernels/cases.h kernels/workload.h kernels/verify*.h kernels/replay.h)
list(FILTER headers EXCLUDE REGEX "_internal\\.h$|/number\\.h$|/lanes_vector\\.h$|/lanes_kernel\\.h$|/closed_form\\.h$")
install(DIRECTORY experiments/schemes experiments/pairs DESTINATION ${CMAKE_INSTALL_DATADIR}/seesaw)
install(FILES ${headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/seesaw)
install(FILES theory/audit/audit.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/seesaw/audit)
