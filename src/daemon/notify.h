/* sd_notify(3) without its library. */
#ifndef SOCKERLESS_DAEMON_NOTIFY_H
#define SOCKERLESS_DAEMON_NOTIFY_H

/* Sends "READY=1" and the like to the service manager, if $NOTIFY_SOCKET names one. */
void notify_send(const char *text);

#endif
