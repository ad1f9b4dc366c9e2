FROM alpine
RUN mkdir -p /etc && echo 'app:x:1000:1001:App:/home/app:/bin/sh' > /etc/passwd && echo 'grp:x:2000:app' > /etc/group && mkdir -p /home/app && chmod 777 /home/app
USER app
RUN id > ~/id; echo $HOME > ~/home
USER app:grp
RUN id > /home/app/id2
USER 5:6
RUN id > /home/app/id3
ENV U=app
USER $U
