# Packages for devices: a relocatable .tar.gz and a .deb of the static command, made by cpack (./dev package TARGET).
include_guard(GLOBAL)

# Files installed beside the command. They name /usr; packaging/setup-service rewrites it for another prefix.
set(pannier_packaging ${PROJECT_SOURCE_DIR}/packaging)
install(FILES ${pannier_packaging}/pannier.service DESTINATION lib/systemd/system COMPONENT device EXCLUDE_FROM_ALL)
install(FILES ${pannier_packaging}/sysusers.conf DESTINATION lib/sysusers.d RENAME pannier.conf
  COMPONENT device EXCLUDE_FROM_ALL)
install(FILES ${pannier_packaging}/tmpfiles.conf DESTINATION lib/tmpfiles.d RENAME pannier.conf
  COMPONENT device EXCLUDE_FROM_ALL)
install(FILES ${pannier_packaging}/node.toml DESTINATION share/pannier COMPONENT device EXCLUDE_FROM_ALL)
install(FILES LICENSE docs/cli.md docs/operations.md ${pannier_packaging}/copyright DESTINATION share/doc/pannier
  COMPONENT device EXCLUDE_FROM_ALL)
if(PANNIER_SDK)
  install(DIRECTORY ${PANNIER_SDK}/share/licences DESTINATION share/doc/pannier COMPONENT device EXCLUDE_FROM_ALL)
endif()
install(PROGRAMS ${pannier_packaging}/setup-service DESTINATION . COMPONENT device_setup EXCLUDE_FROM_ALL)

# Debian's architecture, from the toolchain file's.
set(pannier_machines x86_64=amd64 aarch64=arm64 arm=armhf armv7l=armhf)
set(pannier_architecture ${CMAKE_SYSTEM_PROCESSOR})
foreach(pair IN LISTS pannier_machines)
  if(pair MATCHES "^${CMAKE_SYSTEM_PROCESSOR}=(.*)$")
    set(pannier_architecture ${CMAKE_MATCH_1})
  endif()
endforeach()

set(CPACK_GENERATOR TGZ DEB)
set(CPACK_PACKAGE_NAME pannier)
set(CPACK_PACKAGE_VENDOR Pannier)
set(CPACK_PACKAGE_CONTACT "Pannier maintainers <maintainers@pannier.invalid>" CACHE STRING
  "Who answers for a package, as NAME <ADDRESS>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "store-and-forward messaging node for devices")
set(CPACK_PACKAGE_DESCRIPTION
  "Keeps messages on this device's disk until the hub has them, across dead links, dead batteries and full disks, and
takes what comes back. One static program with a service for systemd.")
set(CPACK_PACKAGE_FILE_NAME pannier-${PROJECT_VERSION}-${pannier_architecture})
set(CPACK_STRIP_FILES ON)
set(CPACK_THREADS 1)
# One package with what a device needs. Library headers are left out and nothing but the command is built.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_ARCHIVE_COMPONENT_INSTALL ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL device device_setup)
set(CPACK_PROJECT_CONFIG_FILE ${PROJECT_SOURCE_DIR}/packaging/cpack_config.cmake)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE ${pannier_architecture})
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
# The program has no dependencies; these create its user and folders.
set(CPACK_DEBIAN_PACKAGE_DEPENDS
  "systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles, init-system-helpers (>= 1.54~)")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${pannier_packaging}/deb/postinst ${pannier_packaging}/deb/prerm ${pannier_packaging}/deb/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
