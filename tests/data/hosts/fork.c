/* Opens an engine, forks, and checks that the child is refused everywhere while the parent goes on. */
#define _POSIX_C_SOURCE 200809L
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lapce_ai.h"

static int child(lai_engine *engine, lai_client *client) {
    lai_engine_options options = {sizeof options, 0, 0, 0, {NULL, 0}, {NULL, 0}, {NULL, 0}};
    lai_engine *other = NULL;
    lai_error *error = NULL;
    lai_event event;
    size_t count = 7;
    if (lai_engine_new(&options, &other, NULL) != LAI_ERR_FORKED || other != NULL) return 1;
    if (lai_client_next(client, &event, 1, &count, NULL) != LAI_ERR_FORKED || count != 7) return 2;
    if (lai_client_wait(client, 0, 0, &error) != LAI_ERR_FORKED || lai_error_status(error) != LAI_ERR_FORKED) return 3;
    lai_error_free(error);
    if (lai_engine_close(engine, 0, NULL, NULL) != LAI_ERR_FORKED) return 4;
    lai_client_free(client);
    lai_engine_free(engine);
    return 0;
}

int main(int argc, char **argv) {
    lai_engine_options options = {sizeof options, 0, 0, 0, {NULL, 0}, {NULL, 0}, {NULL, 0}};
    lai_engine *engine = NULL;
    lai_client *client = NULL;
    int status = -1;
    pid_t pid;
    if (argc != 2) return 20;
    options.storage.ptr = argv[1];
    options.storage.len = strlen(argv[1]);
    if (lai_engine_new(&options, &engine, NULL) != LAI_OK) return 21;
    if (lai_client_new(engine, NULL, &client, NULL) != LAI_OK) return 22;
    pid = fork();
    if (pid == 0) _exit(child(engine, client));
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) return 23;
    if (WEXITSTATUS(status) != 0) return WEXITSTATUS(status);
    if (lai_client_wait(client, 0, 0, NULL) != LAI_TIMEOUT) return 24;
    lai_client_free(client);
    lai_engine_free(engine);
    return 0;
}
