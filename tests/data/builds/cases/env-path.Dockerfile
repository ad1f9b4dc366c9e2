FROM alpine
ENV PATH=/opt/bin:$PATH
RUN echo $PATH > /p
