# Headers, library, CMake package and pkg-config file.
#
# Headers are installed to <includedir>/pannier and included as <pannier/actor.h>, inside the project and outside
# (docs/decisions/0001-include-paths.md).
include_guard(GLOBAL)
include(CMakePackageConfigHelpers)

set(pannier_package ${CMAKE_INSTALL_LIBDIR}/cmake/pannier)

set(pannier_libraries pannier pannier_sim)
if(TARGET pannier_run)
  list(APPEND pannier_libraries pannier_run)
endif()
foreach(service rpc resilience gather events saga)
  list(APPEND pannier_libraries pannier_${service})
endforeach()
install(TARGETS ${pannier_libraries} EXPORT pannierTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT pannierTargets NAMESPACE pannier:: DESTINATION ${pannier_package})

# Public headers include what flatc made of these schemas, by the path within the project.
set(pannier_generated ${CMAKE_INSTALL_INCLUDEDIR}/pannier/generated)
foreach(schema services/events/events.fbs services/saga/saga.fbs)
  cmake_path(GET schema PARENT_PATH folder)
  install(FILES ${PROJECT_BINARY_DIR}/generated/${schema}.h DESTINATION ${pannier_generated}/${folder})
endforeach()
foreach(service events saga)
  target_include_directories(pannier_${service} SYSTEM INTERFACE $<INSTALL_INTERFACE:${pannier_generated}>)
endforeach()

# The generator of services, for the machine that builds: in a device's tree as well.
if(TARGET pannier_rpcgen_host)
  install(PROGRAMS ${PANNIER_RPCGEN} DESTINATION ${pannier_package})
else()
  install(TARGETS pannier_rpcgen RUNTIME DESTINATION ${pannier_package})
endif()

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
  cmake/pannier_add_service.cmake
  DESTINATION ${pannier_package})

# The prefix follows from the file's location, so that an installed tree can be moved.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
  BASE_DIRECTORY ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig
  OUTPUT_VARIABLE pannier_pc_prefix)
configure_file(cmake/pannier.pc.in ${PROJECT_BINARY_DIR}/pannier.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/pannier.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
