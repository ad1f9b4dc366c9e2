FROM scratch AS a
ARG x=1
ENV y=2
FROM a
ENV z=$x$y$q
