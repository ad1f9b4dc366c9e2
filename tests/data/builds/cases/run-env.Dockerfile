FROM alpine
ENV A=1
ARG B=2
RUN env | grep -v -e '^SHLVL' -e '^PWD' -e '^HOSTNAME' | sort > /env; hostname > /host
