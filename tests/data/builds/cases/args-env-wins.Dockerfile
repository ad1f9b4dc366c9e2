# flags: --build-arg A=given
FROM alpine
ENV A=env
ARG A=arg
RUN echo $A > /a
