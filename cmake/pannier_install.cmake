# Headers, library, CMake package and pkg-config file.
#
# Headers go to include/pannier, which is itself the include directory: code says #include <pannier/actor.h>
# within the project and outside alike (docs/decisions/0001-include-paths.md).
include_guard(GLOBAL)
include(CMakePackageConfigHelpers)

set(pannier_package ${CMAKE_INSTALL_LIBDIR}/cmake/pannier)

install(TARGETS pannier pannier_sim EXPORT pannierTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT pannierTargets NAMESPACE pannier:: DESTINATION ${pannier_package})

configure_package_config_file(
  cmake/pannierConfig.cmake.in ${PROJECT_BINARY_DIR}/pannierConfig.cmake
  INSTALL_DESTINATION ${pannier_package} NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor release may change the API.
write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/pannierConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/pannierConfig.cmake
  ${PROJECT_BINARY_DIR}/pannierConfigVersion.cmake
  cmake/pannier_dependencies.cmake
  cmake/pannier_add_schema.cmake
  DESTINATION ${pannier_package})

# The prefix follows from the file's own place, so that an installed tree can be moved.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
  BASE_DIRECTORY ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig
  OUTPUT_VARIABLE pannier_pc_prefix)
configure_file(cmake/pannier.pc.in ${PROJECT_BINARY_DIR}/pannier.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/pannier.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
