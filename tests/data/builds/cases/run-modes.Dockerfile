FROM alpine
RUN umask 077; mkdir /private; echo p > /private/p; umask 022; echo s > /suid; chmod 4755 /suid; chown 10:20 /suid; mkdir -m 1777 /sticky; echo x > /ro; chmod 0400 /ro
