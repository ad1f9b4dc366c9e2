FROM alpine
RUN mkdir /x && echo 1 > /x/f
RUN rm -r /x && echo file > /x
RUN rm /x && ln -s /bin /x
