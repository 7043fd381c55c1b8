# 64-bit x86, static and small like the others: gateways, and a measure of what a device's node needs. Debian's g++;
# where the machine is another one, package g++-x86-64-linux-gnu.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(PANNIER_TARGET x86_64)
set(PANNIER_TRIPLE x86_64-linux-gnu)
set(CMAKE_C_COMPILER ${PANNIER_TRIPLE}-gcc)
set(CMAKE_CXX_COMPILER ${PANNIER_TRIPLE}-g++)

set(PANNIER_FLAGS "")
set(PANNIER_LINK_FLAGS "")
include(${CMAKE_CURRENT_LIST_DIR}/device.cmake)
