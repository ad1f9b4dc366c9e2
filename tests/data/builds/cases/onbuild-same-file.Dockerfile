FROM alpine AS base
ONBUILD RUN echo triggered > /triggered
ONBUILD ENV T=1
ONBUILD COPY a.txt /copied
FROM base
RUN echo "$T" > /t
