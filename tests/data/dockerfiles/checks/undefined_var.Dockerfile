FROM scratch
ARG foo=1
ENV BAR=2
COPY $fo $BA /x/
WORKDIR /$zzz
USER $foo$unknown
