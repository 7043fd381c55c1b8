#include "tools/cli.h"

int main(int argc, char** argv) { return pannier::tools::run_cli(argc, argv); }
